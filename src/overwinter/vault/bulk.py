"""Reading many small blobs: looked up together, fetched in the order of packs, neighbours in one piece."""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field

import numpy as np

from overwinter.model.errors import VaultDataCorrupt, VaultObjectMissing
from overwinter.vault.blobs import BlobStore
from overwinter.vault.index import pack_bytes
from overwinter.vault.pack import pack_name, split_extent
from overwinter.vault.seal import BlobKind
from overwinter.vault.workers import ordered_map

#: Most bytes fetched at a time, and unwanted bytes between two segments that are fetched along.
_FETCH = 1024 * 1024
_GAP = 4 * 1024


@dataclass(frozen=True)
class _Member:
    """A wanted blob: which one it is, and where its segment lies."""

    position: int
    offset: int
    length: int
    number: int


@dataclass
class _Run:
    """Segments of one pack that are fetched together; ``end`` is where the last one ends."""

    pack: bytes
    end: int
    members: list[_Member] = field(default_factory=list)

    @property
    def begin(self) -> int:
        """Where the first segment begins."""
        return self.members[0].offset


def read_many(blobs: BlobStore, kind: BlobKind, ids: Sequence[bytes]) -> Iterator[tuple[int, bytes | None]]:
    """Each blob's position in ``ids`` with its verified content, in the order of the storage.

    None instead of content when a blob is not readable where the index has it: ``BlobStore.read`` finds it
    elsewhere or tells the reason. Opened in the caller's thread: that takes less time than taking turns.
    """
    runs, unknown = _runs(blobs, ids)
    yield from ((position, None) for position in unknown)

    def fetch(run: _Run) -> bytes | None:
        try:
            blobs.prepare(run.pack)
            return blobs.storage.get_range(pack_name(run.pack), run.begin, run.end - run.begin)
        except (VaultObjectMissing, VaultDataCorrupt):
            return None

    at_once = blobs.storage.reads_at_once
    with closing(ordered_map(fetch, runs, at_once) if at_once > 1 else _in_turn(fetch, runs)) as fetched:
        for run, content in zip(runs, fetched, strict=True):
            yield from _opened(blobs, kind, ids, run, content)


def _in_turn(fetch: Callable[[_Run], bytes | None], runs: list[_Run]) -> Generator[bytes | None, None, None]:
    """Threads that only take turns are slower than none."""
    yield from map(fetch, runs)


def _runs(blobs: BlobStore, ids: Sequence[bytes]) -> tuple[list[_Run], list[int]]:
    """What to fetch, and the positions of blobs that the index does not know."""
    places = blobs.index.find_many(b"".join(ids))
    order = np.lexsort((places.extent, places.offset, places.pack))
    order = order[places.found[order]]
    runs: list[_Run] = []
    columns = (places.pack[order], places.offset[order], places.extent[order], order)
    before = None
    for number, offset, extent, position in zip(*(column.tolist() for column in columns), strict=True):
        length, blob = split_extent(extent)
        run = runs[-1] if number == before else None
        if run is None or offset > run.end + _GAP or offset + length - run.begin > _FETCH:
            runs.append(run := _Run(pack_bytes(number), offset + length))
        run.members.append(_Member(position, offset, length, blob))
        run.end = max(run.end, offset + length)
        before = number
    return runs, np.flatnonzero(~places.found).tolist()


def _opened(
    blobs: BlobStore, kind: BlobKind, ids: Sequence[bytes], run: _Run, fetched: bytes | None
) -> Iterator[tuple[int, bytes | None]]:
    """The blobs of a run."""
    stored = None if fetched is None else memoryview(fetched)
    for member in run.members:
        content = None
        if stored is not None:
            begin = member.offset - run.begin
            content = _blob(blobs, kind, ids, run, member, stored[begin : begin + member.length])
        yield member.position, content


def _blob(
    blobs: BlobStore, kind: BlobKind, ids: Sequence[bytes], run: _Run, member: _Member, stored: memoryview
) -> bytes | None:
    try:
        segment = blobs.open(kind, run.pack, member.offset, stored)
        content = segment.blobs(member.number)
        blobs.check(kind, ids[member.position], run.pack, member.offset, content)
    except (VaultObjectMissing, VaultDataCorrupt):
        return None
    return bytes(content)
