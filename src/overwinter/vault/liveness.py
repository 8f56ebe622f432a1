"""Which records of the index are live: marking for collection, a byte per record, thousands of ids at a time.

First everything that recovery points need is marked, then ``settle`` decides. Where a blob has several
records, one counts as live. It is chosen so that packs become free: packs that must stay anyway (something
live lies only there) come first, then packs that could serve more blobs. To free the most packs is set cover,
which is not worth its cost here: repeated records come of crashes, races and copying, and are few.
"""

from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from overwinter.model.errors import VaultObjectMissing
from overwinter.vault.index import Snapshot, blob_id, pack_bytes
from overwinter.vault.pack import split_extent
from overwinter.vault.table import Bools, Keys, Rows, Table, joined

_Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class PackUse:
    """How many of a pack's blobs are live, and how many it has."""

    live: int
    total: int


@dataclass(frozen=True)
class LiveBlob:
    """A live blob of a pack: its id, offset and length of its segment, its number there."""

    id: bytes
    offset: int
    length: int
    number: int


TellMissing = Callable[[Keys], None]


def _refuse(missing: Keys) -> None:
    raise VaultObjectMissing(
        f"{len(missing)} blobs that recovery points need are missing in the vault's index. Verify the vault."
    )


class Liveness:
    """Marks the live records of an index as it was at one time; used by one thread.

    Drop it before the index forgets packs: it keeps the memory of every table it has seen.
    """

    def __init__(self, index: Snapshot) -> None:
        self._index = index
        self._marked: list[Bools] = [np.zeros(len(table), bool) for table in index.tables]

    def mark(self, ids: bytes | bytearray | memoryview, missing: TellMissing = _refuse) -> Bools:
        """Mark the blobs of ids that follow each other; an id of zeros stands for nothing.

        Gives for each id whether it is marked for the first time; where an id is repeated, for one of them.
        Best for tens of thousands at a time. ``missing`` is told which ones the index does not know; without
        it ``VaultObjectMissing`` is raised.
        """
        keys = Keys.of(ids)
        wanted = np.flatnonzero((keys.high != 0) | (keys.low != 0))
        first = np.zeros(len(keys), bool)
        for number, chosen in keys.take(wanted).by_shard():
            chosen = wanted[chosen]
            table, marked = self._index.tables[number], self._marked[number]
            found = table.rows_of(keys.take(chosen))
            rows, which = np.unique(found, return_index=True)
            if rows[0] < 0:
                missing(keys.take(chosen[found < 0]))
                rows, which = rows[1:], which[1:]
            new = ~marked[rows]
            first[chosen[which[new]]] = True
            _mark_all(table, marked, rows[new])
        return first

    def mark_all(self) -> None:
        """Mark every blob."""
        for marked in self._marked:
            marked[:] = True

    def packs(self) -> set[bytes]:
        """The packs in which a marked blob lies."""
        sums = self._zeros()
        for table, marked in zip(self._index.tables, self._marked, strict=True):
            self._count(sums, table.take(marked))
        return {pack_bytes(int(pack)) for pack in self._index.packs[sums > 0]}

    def settle(self) -> dict[bytes, PackUse]:
        """Choose one record of each marked blob as live; gives the use of every pack that a record names.

        To be asked for once, when all is marked.
        """
        rank = self._ranks()
        live, total = self._zeros(), self._zeros()
        for table, marked in self._tables():
            _choose(table, marked, rank)
            self._count(total, table)
            self._count(live, table.take(marked))
        return {
            pack_bytes(int(self._index.packs[number])): PackUse(int(live[number]), int(total[number]))
            for number in np.flatnonzero(total)
        }

    def live(self, packs: Set[bytes]) -> Iterator[tuple[bytes, list[LiveBlob]]]:
        """The live blobs of some packs, pack by pack in order of their ids, blobs in the order of the pack.

        To be asked for after ``settle``. A pack without live blobs is left out.
        """
        asked = self._asked(packs)
        parts = [table.take(marked & asked[table.pack]) for table, marked in self._tables()]
        if not parts:
            return
        records = joined(parts)
        ids = self._index.packs[records.pack]
        order = np.lexsort((records.extent, records.offset, ids))
        for rows in np.split(order, np.flatnonzero(np.diff(ids[order])) + 1):
            if len(rows):
                yield pack_bytes(int(ids[rows[0]])), list(_blobs(records.take(rows)))

    def only_in(self, packs: Set[bytes]) -> set[bytes]:
        """Those of ``packs`` without which a marked blob would be lost. To be asked for before ``settle``."""
        asked = self._asked(packs)
        lost = np.zeros(len(asked), bool)
        for table, marked in self._tables():
            records = table.take(marked)
            if not len(records):
                continue
            blob = np.cumsum(~records.repeats()) - 1
            safe = np.zeros(int(blob[-1]) + 1, bool)
            safe[blob[~asked[records.pack]]] = True
            lost[records.pack[~safe[blob]]] = True
        return {pack_bytes(int(pack)) for pack in self._index.packs[lost]}

    def _tables(self) -> Iterator[tuple[Table, Bools]]:
        """Each table that has records, with what is marked in it."""
        for table, marked in zip(self._index.tables, self._marked, strict=True):
            if len(table):
                yield table, marked

    def _asked(self, packs: Set[bytes]) -> Bools:
        return np.array([pack_bytes(int(pack)) in packs for pack in self._index.packs], bool)

    def _ranks(self) -> _Numbers:
        """For each pack its place in the order in which packs are preferred."""
        needed, possible = self._zeros(), self._zeros()
        for table, marked in self._tables():
            self._count(possible, table.take(marked))
            self._count(needed, table.take(marked & ~_several(table)))
        order = np.lexsort((self._index.packs, -possible, needed == 0))
        rank = self._zeros()
        rank[order] = np.arange(len(order))
        return rank

    def _count(self, sums: _Numbers, records: Table) -> None:
        """Add the number of records of each pack."""
        sums += np.bincount(records.pack, minlength=len(sums))

    def _zeros(self) -> _Numbers:
        return np.zeros(len(self._index.packs), np.int64)


def _several(table: Table) -> Bools:
    """For each record whether another one has the same id."""
    repeats = table.repeats()
    result = repeats.copy()
    result[:-1] |= repeats[1:]
    return result


def _mark_all(table: Table, marked: Bools, rows: Rows) -> None:
    """Mark the records at ``rows``, which are the first of their ids, and all others of those ids."""
    while len(rows):
        marked[rows] = True
        rows = rows[rows + 1 < len(table)] + 1
        same = table.high[rows] == table.high[rows - 1]
        rows = rows[same & (table.low[rows] == table.low[rows - 1])]


def _choose(table: Table, marked: Bools, rank: _Numbers) -> None:
    """Of several marked records of one blob leave one marked: the one in the preferred pack."""
    rows = np.flatnonzero(marked & _several(table))
    records = table.take(rows)
    blob = np.cumsum(~records.repeats())
    order = np.lexsort((rank[records.pack], blob))
    chosen = np.ones(len(rows), bool)
    chosen[1:] = np.diff(blob[order]) > 0
    marked[rows] = False
    marked[rows[order[chosen]]] = True


def _blobs(records: Table) -> Iterator[LiveBlob]:
    for high, low, offset, extent in zip(
        records.high.tolist(),
        records.low.tolist(),
        records.offset.tolist(),
        records.extent.tolist(),
        strict=True,
    ):
        yield LiveBlob(blob_id(high, low), offset, *split_extent(extent))
