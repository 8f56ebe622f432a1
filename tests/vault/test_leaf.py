"""Leaves of disk maps: what is put in comes out, what does not add up is refused."""

from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overwinter.model.errors import VaultDataCorrupt
from overwinter.vault.leaf import ZERO_ID, Part, decode_leaf, encode_leaf, spliced
from overwinter.vault.seal import ID_LENGTH

IDS = [ZERO_ID, *(bytes([number]) * ID_LENGTH for number in range(1, 9))]


def laid_out(lengths: list[tuple[int, int]], first: int = 0) -> list[Part]:
    begins = accumulate((count for count, _ in lengths), initial=first)
    return [Part(begin, count, IDS[number]) for begin, (count, number) in zip(begins, lengths, strict=False)]


leaves = st.lists(st.tuples(st.integers(1, 9), st.integers(0, len(IDS) - 1)), min_size=1, max_size=12)


@given(leaves, st.integers(0, 1000))
def test_what_is_encoded_is_decoded(lengths: list[tuple[int, int]], first: int) -> None:
    parts = laid_out(lengths, first)
    blocks = sum(count for count, _ in lengths)
    leaf = decode_leaf(encode_leaf(parts), blocks)
    assert list(leaf.parts(first)) == parts
    for begin in range(first, first + blocks):
        for end in (begin + 1, begin + 5):
            touching = [part for part in parts if part.end > begin and part.first < end]
            assert list(leaf.parts(first, begin, end)) == touching


@given(leaves, st.data())
def test_a_leaf_that_does_not_add_up_is_refused(lengths: list[tuple[int, int]], data: st.DataObject) -> None:
    blob = encode_leaf(laid_out(lengths))
    blocks = sum(count for count, _ in lengths)
    for wrong in (blob[:-1], blob + b"\0", blob[: 4 + 18 * (len(lengths) - 1)], b"OWM\1" + blob[4:], b""):
        with pytest.raises(VaultDataCorrupt):
            decode_leaf(wrong, blocks)
    for size in (blocks - 1, blocks + 1):
        with pytest.raises(VaultDataCorrupt):
            decode_leaf(blob, size)
    at = 4 + 2 * data.draw(st.integers(0, len(lengths) - 1))
    with pytest.raises(VaultDataCorrupt):
        decode_leaf(blob[:at] + b"\0\0" + blob[at + 2 :], blocks)
    with pytest.raises(VaultDataCorrupt):
        decode_leaf(b"OWM\0", 0)


@given(leaves, leaves, st.data())
def test_splicing_equals_writing_block_by_block(
    old: list[tuple[int, int]], new: list[tuple[int, int]], data: st.DataObject
) -> None:
    before = laid_out(old)
    end = before[-1].end
    # Where chunks end, and anywhere within zeros, new parts may begin and end.
    borders = sorted(
        {0, end}
        | {part.end for part in before}
        | {block for part in before if part.is_zero for block in range(part.first, part.end)}
    )
    begin, stop = sorted((data.draw(st.sampled_from(borders)), data.draw(st.sampled_from(borders))))
    put = [part for part in laid_out(new, begin) if part.end <= stop]
    if put and put[-1].end < stop:
        put.append(Part(put[-1].end, stop - put[-1].end, IDS[1]))
    model = _by_block(before)
    for part in put:
        model[part.first : part.end] = [(part.id, 0 if part.is_zero else part.first)] * part.count
    parts = spliced(iter(before), put)
    assert _by_block(parts) == model
    assert all(not (one.is_zero and other.is_zero) for one, other in pairwise(parts)) or parts == [*before]


def test_a_part_of_a_chunk_cannot_be_replaced() -> None:
    old = laid_out([(4, 1), (4, 2)])
    for part in (Part(1, 3, IDS[3]), Part(0, 3, IDS[3]), Part(0, 5, ZERO_ID)):
        with pytest.raises(ValueError, match="in part"):
            spliced(iter(old), [part])


def _by_block(parts: list[Part]) -> list[tuple[bytes, int]]:
    return [
        (part.id, 0 if part.is_zero else part.first) for part in parts for _ in range(part.first, part.end)
    ]
