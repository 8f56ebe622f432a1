"""A leaf of a disk map: into which chunks one region of the disk is cut, and which read as zeros.

A region is a fixed part of the disk; no chunk reaches beyond it. So the tree above needs no lengths.
"""

import struct
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from overwinter.model.errors import VaultDataCorrupt
from overwinter.vault.seal import ID_LENGTH
from overwinter.vault.table import Rows

ZERO_ID = bytes(ID_LENGTH)

_HEADER = struct.Struct(">3sB")
_MAGIC = _HEADER.pack(b"OWM", 0)
_COUNT = np.dtype(">u2")


@dataclass(frozen=True)
class Part:
    """``count`` blocks of a disk from block ``first``: the chunk ``id``, or zeros (`ZERO_ID`)."""

    first: int
    count: int
    id: bytes

    @property
    def end(self) -> int:
        """First block after the part."""
        return self.first + self.count

    @property
    def is_zero(self) -> bool:
        """Whether nothing is stored of it."""
        return self.id == ZERO_ID


@dataclass(frozen=True)
class Leaf:
    """The parts of a region, in order: blocks of each, and their ids one after another."""

    counts: Rows
    ids: bytes

    def parts(self, first: int, begin: int = 0, end: int | None = None) -> Iterator[Part]:
        """The parts of a region that begins at block ``first``; those that touch ``begin`` to ``end``."""
        ends = first + self.counts.cumsum()
        low = int(ends.searchsorted(begin, "right"))
        high = len(ends) if end is None else int(ends.searchsorted(end)) + 1
        for number, count, stop in zip(
            range(low, high), self.counts[low:high].tolist(), ends[low:high].tolist(), strict=False
        ):
            yield Part(stop - count, count, self.ids[number * ID_LENGTH : (number + 1) * ID_LENGTH])


def zeros(blocks: int) -> Leaf:
    """A region that reads as zeros."""
    return Leaf(np.array([blocks], np.intp), ZERO_ID)


def encode_leaf(parts: Sequence[Part]) -> bytes:
    """The blob of a leaf."""
    counts = np.array([part.count for part in parts], _COUNT)
    return _MAGIC + counts.tobytes() + b"".join(part.id for part in parts)


def decode_leaf(blob: bytes, blocks: int) -> Leaf:
    """A leaf of a region of so many blocks. Raises ``VaultDataCorrupt`` when the blob is none."""
    number, rest = divmod(len(blob) - len(_MAGIC), _COUNT.itemsize + ID_LENGTH)
    if rest or number < 1 or not blob.startswith(_MAGIC):
        raise VaultDataCorrupt("A page of a disk map is damaged: it is no page of level 0.")
    counts = np.frombuffer(blob, _COUNT, number, len(_MAGIC)).astype(np.intp)
    if not counts.all() or counts.sum() != blocks:
        raise VaultDataCorrupt("A page of a disk map is damaged: its parts do not make up its region.")
    return Leaf(counts, blob[len(_MAGIC) + counts.size * _COUNT.itemsize :])


def spliced(old: Iterator[Part], new: Sequence[Part]) -> list[Part]:
    """The parts of a region after some were replaced; ``new`` ones are ascending and disjoint.

    Raises ``ValueError`` when a chunk would be replaced in part: then nobody could say what is left of it.
    """
    left = deque(old)
    result: list[Part] = []
    for run in _runs(new):
        begin, end = run[0].first, run[-1].end
        while left and left[0].end <= begin:
            result.append(left.popleft())
        if left and left[0].first < begin:
            result.append(_zeros(left[0], left[0].first, begin))
        result += run
        while left and left[0].end <= end:
            left.popleft()
        if left and left[0].first < end:
            left[0] = _zeros(left[0], end, left[0].end)
    return _joined([*result, *left])


def _runs(parts: Sequence[Part]) -> Iterator[list[Part]]:
    """Parts that follow each other without a gap, together."""
    run: list[Part] = []
    for part in parts:
        if run and run[-1].end != part.first:
            yield run
            run = []
        run.append(part)
    if run:
        yield run


def _zeros(part: Part, first: int, end: int) -> Part:
    """What of a part of zeros is left."""
    if not part.is_zero:
        raise ValueError(f"the chunk of {part.count} blocks from {part.first} is replaced in part")
    return Part(first, end - first, ZERO_ID)


def _joined(parts: list[Part]) -> list[Part]:
    """Parts with neighbours of zeros made one."""
    if not any(one.is_zero and other.is_zero for one, other in pairwise(parts)):
        return parts
    result: list[Part] = []
    for part in parts:
        if result and part.is_zero and result[-1].is_zero:
            part = Part(result[-1].first, result.pop().count + part.count, ZERO_ID)
        result.append(part)
    return result
