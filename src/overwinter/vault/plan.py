"""Which chunks a backup must read: from ranges that may have changed to batches of whole chunks. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from overwinter.model.extent import Extent


@dataclass(frozen=True)
class Span:
    """``count`` chunks from chunk number ``first``; ``zero`` when they are known to read as zeros."""

    first: int
    count: int
    zero: bool


def spans(extents: Iterable[Extent], size: int, chunk_size: int, *, has_parent: bool) -> Iterator[Span]:
    """The chunks that ``extents`` touch, ascending and disjoint.

    A chunk that a zero extent covers only partly is read, because the rest of it may hold data; without a
    parent, what no extent covers is zero, so there such a chunk needs nothing. Raises ``ValueError`` when the
    extents are not ascending and disjoint within the disk.
    """
    done = 0  # first chunk that no span covers yet
    for extent in _joined(extents, size):
        first, end = extent.offset // chunk_size, -(-extent.end // chunk_size)
        if not extent.zero:
            pieces = [Span(first, end - first, zero=False)]
        else:
            whole_first = -(-extent.offset // chunk_size)
            whole_end = end if extent.end == size else extent.end // chunk_size
            if not has_parent:
                continue
            if whole_first >= whole_end:
                pieces = [Span(first, end - first, zero=False)]
            else:
                pieces = [
                    Span(first, whole_first - first, zero=False),
                    Span(whole_first, whole_end - whole_first, zero=True),
                    Span(whole_end, end - whole_end, zero=False),
                ]
        for piece in pieces:
            begin = max(piece.first, done)
            stop = piece.first + piece.count
            if begin < stop:
                yield Span(begin, stop - begin, piece.zero)
                done = stop


def with_reread(parts: Iterable[Span], reread: Iterable[Span]) -> Iterator[Span]:
    """``parts`` and what of ``reread`` they do not cover, ascending and disjoint, as both are."""
    chunks = iter(reread)
    again = next(chunks, None)
    for part in parts:
        while again is not None and again.first < part.first:
            yield Span(again.first, min(again.count, part.first - again.first), zero=False)
            again = _after(again, part.first) or next(chunks, None)
        yield part
        while again is not None and again.first < part.first + part.count:
            again = _after(again, part.first + part.count) or next(chunks, None)
    if again is not None:
        yield again
        yield from chunks


def _after(span: Span, first: int) -> Span | None:
    """What of a span lies at ``first`` and after; null when nothing does."""
    left = span.first + span.count - first
    return Span(first, left, span.zero) if left > 0 else None


def bytes_to_read(extents: Iterable[Extent], size: int, chunk_size: int, *, has_parent: bool) -> int:
    """How many bytes of the disk storing these extents will read."""
    total = 0
    for span in spans(extents, size, chunk_size, has_parent=has_parent):
        if not span.zero:
            total += min(span.count * chunk_size, size - span.first * chunk_size)
    return total


def batches(parts: Iterable[Span], chunks_per_batch: int) -> Iterator[list[Span]]:
    """Group spans, in order, into batches that read at most ``chunks_per_batch`` chunks each."""
    batch: list[Span] = []
    room = chunks_per_batch
    for part in parts:
        if part.zero:
            batch.append(part)
            continue
        first, left = part.first, part.count
        while left:
            taken = min(left, room)
            batch.append(Span(first, taken, zero=False))
            first, left, room = first + taken, left - taken, room - taken
            if not room:
                yield batch
                batch, room = [], chunks_per_batch
    if batch:
        yield batch


def _joined(extents: Iterable[Extent], size: int) -> Iterator[Extent]:
    """The extents with neighbours of one kind made one, checked for order."""
    held: Extent | None = None
    for extent in extents:
        if extent.length < 0 or extent.end > size or extent.offset < (held.end if held else 0):
            raise ValueError(f"{extent} is out of order, or outside a disk of {size} bytes")
        if extent.length == 0:
            continue
        if held is not None and held.end == extent.offset and held.zero == extent.zero:
            held = Extent(held.offset, held.length + extent.length, held.zero)
            continue
        if held is not None:
            yield held
        held = extent
    if held is not None:
        yield held
