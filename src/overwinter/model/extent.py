"""Ranges of a disk: image readers find them, the vault stores them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Extent:
    """``length`` bytes of a disk from ``offset``; ``zero`` when they are known to read as zeros."""

    offset: int
    length: int
    zero: bool = False

    @property
    def end(self) -> int:
        """First byte after the extent."""
        return self.offset + self.length


def joined(extents: Iterable[Extent]) -> Iterator[Extent]:
    """Ascending, disjoint extents with neighbours of one kind made one."""
    held: Extent | None = None
    for extent in extents:
        if held is not None and (held.end, held.zero) == (extent.offset, extent.zero):
            held = replace(held, length=held.length + extent.length)
            continue
        if held is not None:
            yield held
        held = extent
    if held is not None:
        yield held
