"""Ranges of a disk: image readers find them, the vault stores them."""

from dataclasses import dataclass


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
