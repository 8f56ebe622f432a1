"""Which blocks are read, against plain models."""

from collections.abc import Iterable
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from overwinter.model.extent import Extent
from overwinter.vault.chunking import BLOCK
from overwinter.vault.plan import Span, batches, bytes_to_read, runs, spans, widened

CHUNK = 8


def chunks_of(span: Span) -> range:
    return range(span.first, span.first + span.count)


@st.composite
def disks_and_extents(draw: st.DrawFn) -> tuple[int, list[Extent]]:
    cuts = sorted(draw(st.sets(st.integers(0, 120), min_size=1, max_size=12)))
    extents = [
        Extent(begin, end - begin, draw(st.booleans()))
        for begin, end in pairwise(cuts)
        if draw(st.booleans())
    ]
    return cuts[-1] + draw(st.sampled_from([0, 0, 5])), extents


@given(disks_and_extents(), st.booleans())
def test_spans_cover_what_may_have_changed(case: tuple[int, list[Extent]], has_parent: bool) -> None:
    size, extents = case
    found = list(spans(extents, size, CHUNK, has_parent=has_parent))
    assert all(a.first + a.count <= b.first for a, b in pairwise(found))
    read = {number for span in found if not span.zero for number in chunks_of(span)}
    zero = {number for span in found if span.zero for number in chunks_of(span)}
    for number in range(-(-size // CHUNK)):
        places = range(number * CHUNK, min(size, (number + 1) * CHUNK))
        kinds = [{e.zero for e in extents if e.offset <= place < e.end} for place in places]
        if {False} in kinds:
            assert number in read
        elif has_parent and {True} in kinds:
            assert number in (zero if all(kinds) else read)
        else:
            assert number not in read | zero


@st.composite
def ascending(draw: st.DrawFn) -> list[Span]:
    """Spans with gaps and without."""
    result, at = [], 0
    for gap, count, zero in draw(
        st.lists(st.tuples(st.integers(0, 4), st.integers(1, 40), st.booleans()), max_size=12)
    ):
        result.append(Span(at + gap, count, zero))
        at += gap + count
    return result


def by_block(parts: Iterable[Span]) -> dict[int, bool]:
    blocks = [(number, span.zero) for span in parts for number in chunks_of(span)]
    assert blocks == sorted(blocks), "out of order, or twice"
    return dict(blocks)


@given(ascending(), st.lists(st.tuples(st.integers(1, 9), st.booleans()), max_size=80))
def test_widened_spans_cover_whole_old_chunks(parts: list[Span], old: list[tuple[int, bool]]) -> None:
    around: dict[int, tuple[int, int]] = {}
    first = 0
    for count, zero in old:
        if not zero:
            around |= dict.fromkeys(range(first, first + count), (first, first + count))
        first += count
    found = by_block(widened(parts, lambda block: around.get(block, (block, block + 1))))
    given_blocks = by_block(parts)
    expected = dict(given_blocks)
    # Only where a span begins or ends: what lies within is covered by it.
    for block in given_blocks:
        for beside in range(*around.get(block, (block, block + 1))):
            expected.setdefault(beside, False)
    assert found == expected


@given(ascending(), st.integers(1, 12))
def test_runs_are_as_long_as_they_can_be(parts: list[Span], least: int) -> None:
    made = list(runs(parts, least))
    assert all((one.end, one.zero) != (other.first, other.zero) for one, other in pairwise(made))
    assert all(span.count >= least for span in made if span.zero)
    given_blocks, found = by_block(parts), by_block(made)
    assert given_blocks.keys() == found.keys()
    assert all(given_blocks[block] for block, zero in found.items() if zero), "data taken for zeros"


@given(ascending(), st.integers(1, 16))
def test_batches_end_with_regions_and_bound_reads(parts: list[Span], region: int) -> None:
    made = list(batches(parts, region))
    assert all(made)
    assert by_block(span for batch in made for span in batch) == by_block(parts)
    for batch in made:
        data = [span for span in batch if not span.zero]
        assert sum(span.count for span in data) <= region
        assert all(span.first // region == (span.end - 1) // region for span in data)
    spans_ = [span for batch in made for span in batch if not span.zero]
    whole = {(part.first, part.end) for part in parts if not part.zero}
    for one, other in pairwise(spans_):
        if one.end == other.first and one.end % region:
            assert any(end == one.end for _, end in whole), "cut elsewhere than at a region's border"


@given(disks_and_extents(), st.booleans())
def test_what_will_be_read_is_told(case: tuple[int, list[Extent]], has_parent: bool) -> None:
    size = case[0] * BLOCK
    extents = [Extent(one.offset * BLOCK, one.length * BLOCK, one.zero) for one in case[1]]
    exact = sum(
        span.count * BLOCK for span in spans(extents, size, BLOCK, has_parent=has_parent) if not span.zero
    )
    told = bytes_to_read(extents, size, 4 * BLOCK, has_parent=has_parent)
    assert exact <= told <= size
    assert has_parent or told == exact
