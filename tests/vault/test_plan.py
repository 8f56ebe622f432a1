"""Which chunks are read, against a plain model of bytes."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from overwinter.model.extent import Extent
from overwinter.vault.plan import Span, batches, spans

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


@given(
    st.lists(st.tuples(st.integers(1, 40), st.booleans()), max_size=20),
    st.integers(1, 16),
)
def test_batches_keep_order_and_bound_reads(parts: list[tuple[int, bool]], most: int) -> None:
    given_spans, first = [], 0
    for count, zero in parts:
        given_spans.append(Span(first, count, zero))
        first += count
    made = list(batches(given_spans, most))
    assert all(sum(span.count for span in batch if not span.zero) <= most for batch in made)
    chunks = [(number, span.zero) for batch in made for span in batch for number in chunks_of(span)]
    assert chunks == [(number, span.zero) for span in given_spans for number in chunks_of(span)]
