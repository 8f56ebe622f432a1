"""What a backup must read: from ranges that may have changed to batches of whole chunks, in blocks. Pure."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from overwinter.model.extent import Extent, joined
from overwinter.vault.chunking import BLOCK


@dataclass(frozen=True)
class Span:
    """``count`` blocks from block ``first``; ``zero`` when they are known to read as zeros."""

    first: int
    count: int
    zero: bool

    @property
    def end(self) -> int:
        """First block after the span."""
        return self.first + self.count


#: The first block of the old chunk that a block is in, and the first one after it; of zeros just the block.
Surroundings = Callable[[int], tuple[int, int]]


def spans(extents: Iterable[Extent], size: int, block: int, *, has_parent: bool) -> Iterator[Span]:
    """The blocks that ``extents`` touch, ascending and disjoint.

    A block that a zero extent covers only partly is read, because the rest of it may hold data; without a
    parent, what no extent covers is zero, so there such a block needs nothing. Raises ``ValueError`` when the
    extents are not ascending and disjoint within the disk.
    """
    done = 0  # first block that no span covers yet
    for extent in joined(_checked(extents, size)):
        first, end = extent.offset // block, -(-extent.end // block)
        if not extent.zero:
            pieces = [Span(first, end - first, zero=False)]
        else:
            whole_first = -(-extent.offset // block)
            whole_end = end if extent.end == size else extent.end // block
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
            if begin < piece.end:
                yield Span(begin, piece.end - begin, piece.zero)
                done = piece.end


def with_reread(parts: Iterable[Span], reread: Iterable[Span]) -> Iterator[Span]:
    """``parts`` and what of ``reread`` they do not cover, ascending and disjoint, as both are."""
    spans_again = iter(reread)
    again = next(spans_again, None)
    for part in parts:
        while again is not None and again.first < part.first:
            yield Span(again.first, min(again.count, part.first - again.first), zero=False)
            again = _after(again, part.first) or next(spans_again, None)
        yield part
        while again is not None and again.first < part.end:
            again = _after(again, part.end) or next(spans_again, None)
    if again is not None:
        yield again
        yield from spans_again


def _after(span: Span, first: int) -> Span | None:
    """What of a span lies at ``first`` and after; null when nothing does."""
    return Span(first, span.end - first, span.zero) if span.end > first else None


def widened(parts: Iterable[Span], old: Surroundings) -> Iterator[Span]:
    """``parts`` with what else of old chunks must be read, because they are replaced as a whole."""
    done = tail = 0  # what is covered, and where the last chunk that was touched ends
    for part in parts:
        rest = min(tail, part.first)
        if rest > done:
            yield Span(done, rest - done, zero=False)
            done = rest
        begin = max(done, old(part.first)[0])
        if begin < part.first:
            yield Span(begin, part.first - begin, zero=False)
        yield part
        done, tail = part.end, old(part.end - 1)[1]
    if tail > done:
        yield Span(done, tail - done, zero=False)


def runs(parts: Iterable[Span], least_zeros: int) -> Iterator[Span]:
    """``parts`` with neighbours of one kind made one; runs of fewer zeros than that are read as data."""

    def settled() -> Iterator[Span]:
        for part in _merged(parts):
            yield replace(part, zero=part.zero and part.count >= least_zeros)

    return _merged(settled())


def _merged(parts: Iterable[Span]) -> Iterator[Span]:
    held: Span | None = None
    for part in parts:
        if held is not None and (held.end, held.zero) == (part.first, part.zero):
            held = replace(held, count=held.count + part.count)
            continue
        if held is not None:
            yield held
        held = part
    if held is not None:
        yield held


def bytes_to_read(extents: Iterable[Extent], size: int, chunk_size: int, *, has_parent: bool) -> int:
    """About how many bytes of the disk storing these extents will read.

    On a parent, whole chunks of it are read wherever something has changed: half of the shortest
    chunk is taken for each side, where there is room for it.
    """
    beside = chunk_size // 2 // BLOCK if has_parent else 0
    total = done = 0
    for span in _merged(spans(extents, size, BLOCK, has_parent=has_parent)):
        if not span.zero:
            begin = max(done, span.first - beside)
            done = span.end + beside
            total += max(0, min(done * BLOCK, size) - begin * BLOCK)
    return total


def batches(parts: Iterable[Span], region: int) -> Iterator[list[Span]]:
    """Cut spans where regions of so many blocks end; group them, in order, up to a region's worth of reading.

    Nothing else is cut: chunks could not go on there.
    """
    batch: list[Span] = []
    room = region
    for part in parts:
        if part.zero:
            batch.append(part)
            continue
        first = part.first
        while first < part.end:
            end = min(part.end, (first // region + 1) * region)
            if end - first > room:
                yield batch
                batch, room = [], region
            batch.append(Span(first, end - first, zero=False))
            room -= end - first
            first = end
    if batch:
        yield batch


def _checked(extents: Iterable[Extent], size: int) -> Iterator[Extent]:
    """Those that are not empty. Raises ``ValueError`` when they are out of order or outside the disk."""
    end = 0
    for extent in extents:
        if extent.length < 0 or extent.end > size or extent.offset < end:
            raise ValueError(f"{extent} is out of order, or outside a disk of {size} bytes")
        if extent.length:
            end = extent.end
            yield extent
