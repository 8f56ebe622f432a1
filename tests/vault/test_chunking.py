"""Where chunks end: everywhere by content alone, never too soon nor too late."""

from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from overwinter.vault.chunking import BLOCK, SEED_LENGTH, Chunker, Piece, shortest_zeros
from tests.vault.disks import noise

SIZES = (1, 2, 8, 32)

#: Blocks of a few contents; 0: zeros.
BLOCKS = [bytes(BLOCK), *(noise(seed, BLOCK) for seed in range(1, 40))]

disks = st.lists(
    st.tuples(st.integers(0, len(BLOCKS) - 1), st.sampled_from([1, 1, 1, 2, 5, 20])), max_size=60
).map(lambda runs: [number for number, count in runs for _ in range(count)])


def chunker(size: int, seed: int = 1) -> Chunker:
    return Chunker(noise(seed, SEED_LENGTH), size * BLOCK)


def data(numbers: list[int]) -> bytes:
    return b"".join(BLOCKS[number] for number in numbers)


def ends(pieces: list[Piece]) -> list[int]:
    return list(accumulate(piece.count for piece in pieces))


@given(disks, st.sampled_from(SIZES))
def test_pieces_cover_all_and_have_their_lengths(numbers: list[int], size: int) -> None:
    pieces = chunker(size).cut(0, data(numbers))
    assert sum(piece.count for piece in pieces) == len(numbers)
    for at, (piece, end) in enumerate(zip(pieces, ends(pieces), strict=True)):
        here = numbers[end - piece.count : end]
        if piece.zero:
            assert len(here) >= shortest_zeros(size * BLOCK) and not any(here)
            assert end == len(numbers) or numbers[end], "the run goes on"
            assert end == len(here) or numbers[end - len(here) - 1], "the run began before"
        else:
            assert len(here) <= max(size, size * 5 // 2)
            cut_short = at + 1 == len(pieces) or pieces[at + 1].zero
            assert len(here) >= size or cut_short


@given(disks, st.sampled_from(SIZES))
def test_no_long_run_of_zeros_is_kept(numbers: list[int], size: int) -> None:
    pieces = chunker(size).cut(0, data(numbers))
    kept: list[int] = []
    for piece, end in zip(pieces, ends(pieces), strict=True):
        kept += [-1] * piece.count if piece.zero else numbers[end - piece.count : end]
    longest = max((len(run) for run in "".join(" x"[each == 0] for each in kept).split()), default=0)
    assert longest < shortest_zeros(size * BLOCK)


@given(disks, st.sampled_from(SIZES), st.integers(0, 99))
def test_it_depends_on_the_content_alone(numbers: list[int], size: int, first: int) -> None:
    assert chunker(size).cut(0, data(numbers)) == chunker(size).cut(first, memoryview(data(numbers)))


@pytest.mark.parametrize("shift", [1, 2, 7, 100])
def test_data_that_was_shifted_by_blocks_has_the_same_chunks(shift: int) -> None:
    disk = noise(1, 4096 * BLOCK)
    one, other = chunker(32).cut(0, disk), chunker(32).cut(0, noise(2, shift * BLOCK) + disk)
    common = set(ends(one)) & {end - shift for end in ends(other)}
    assert len(common) > 0.9 * len(one)


@pytest.mark.parametrize(("size", "mean"), [(1, 1), (2, 2), (8, 11), (32, 44)])
def test_the_mean_is_what_is_said(size: int, mean: int) -> None:
    disk = noise(3, 16384 * BLOCK)
    assert len(disk) // BLOCK / len(chunker(size).cut(0, disk)) == pytest.approx(mean, rel=0.05)


def test_every_vault_cuts_elsewhere() -> None:
    disk = noise(4, 4096 * BLOCK)
    one, other = (set(ends(chunker(32, seed).cut(0, disk))) for seed in (1, 2))
    assert len(one & other) < 0.2 * len(one)


def test_a_sample_of_zeros_is_not_taken_for_zeros() -> None:
    block = np.zeros(BLOCK // 8, np.uint64)
    block[5] = 1
    assert chunker(1).cut(0, block.tobytes()) == [Piece(1, zero=False)]
