"""Who needs each blob: one recovery point only, several of one VM, or several VMs; and how much it occupies.

Columns are kept for the records of the index: 14 bytes per record beside the index's own 28 (83 MiB for
1 TiB of unique data in chunks of 176 KiB). A page is read again only when it turns out to be needed by more,
so at most three times, however many points there are.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from overwinter.model.errors import VaultError, VaultObjectMissing
from overwinter.vault.index import Snapshot, pack_bytes, segment_lengths
from overwinter.vault.leaf import Leaf
from overwinter.vault.seal import BlobKind
from overwinter.vault.table import U32, U64, Bools, Keys, Rows, Table

_Owners = NDArray[np.int32]
_U16 = NDArray[np.uint16]

#: Nobody needs it. Points are numbered from 1, then VMs, then comes the number for several VMs.
_NOBODY = 0


class Ownership:
    """The owner of each record of an index; ``vms`` are the VMs of the points, numbered from 0.

    Points are looked at one after another (``enter``, then ``mark`` and ``page_read`` as in ``mark_disks``,
    then ``leave``). Used by one thread.
    """

    def __init__(self, index: Snapshot, vms: Sequence[int]) -> None:
        self._index = index
        self._bases = np.cumsum([0, *map(len, index.tables)])
        records = int(self._bases[-1])
        self._points = len(vms)
        self._vms = max(vms, default=-1) + 1
        # The VM that an owner stands for; -1: none, or several.
        own_vms = [-1, *vms, *range(self._vms), -1]
        self._vm_of: _Owners = np.array(own_vms, np.int32)
        self._share = self._shares(records)
        self._owner: _Owners = np.zeros(records, np.int32)
        self._below: U32 = np.zeros(records, np.uint32)
        self._blocks: _U16 = np.zeros(records, np.uint16)
        self._point = _NOBODY
        self._new = 0
        self._inner: list[tuple[int, bytes]] = []

    @property
    def memory_bytes(self) -> int:
        """What the columns occupy."""
        return sum(column.nbytes for column in (self._share, self._owner, self._below, self._blocks))

    def enter(self, point: int) -> None:
        """From now on everything is marked for this point, numbered from 0."""
        self._point = point + 1
        self._new = 0
        self._inner = []

    def mark(self, ids: bytes | bytearray, kind: BlobKind) -> Bools:  # noqa: ARG002
        """See ``Marks.mark``; "new" is what was not known to be needed by as many."""
        rows = self._rows(ids)
        there = np.flatnonzero(rows >= 0)
        records, which = np.unique(rows[there], return_index=True)
        before = self._owner[records]
        vm = int(self._vm_of[self._point])
        after = np.where(self._vm_of[before] == vm, 1 + self._points + vm, 1 + self._points + self._vms)
        after[before == self._point] = self._point
        after[before == _NOBODY] = self._point
        self._new += int(self._share[records[before == _NOBODY]].sum(dtype=np.uint64))
        self._owner[records] = after
        changed = np.zeros(len(rows), bool)
        changed[there[which[after != before]]] = True
        return changed

    def unreadable(self, page: bytes, error: VaultError) -> None:  # noqa: ARG002
        """See ``Marks.unreadable``."""
        raise error

    def page_read(self, page_id: bytes, found: Leaf | bytes) -> None:
        """Take note of what is in a page."""
        row = int(self._rows(page_id)[0])
        if not isinstance(found, Leaf):
            self._inner.append((row, found))  # what is below its entries is read after it
            return
        chunks = self._rows(found.ids)
        there = chunks >= 0
        self._blocks[chunks[there]] = found.counts[there]
        self._below[row] = found.counts[there].sum()

    def leave(self) -> int:
        """End a point; gives the stored bytes of what no point before it needed."""
        for row, entries in reversed(self._inner):
            children = self._rows(entries)
            self._below[row] = self._below[children[children >= 0]].sum()
        return self._new

    def blocks_below(self, page_id: bytes) -> int:
        """How many blocks below a page do not read as zeros."""
        row = int(self._rows(page_id)[0])
        return 0 if row < 0 else int(self._below[row])

    def needed_blocks(self) -> int:
        """How many blocks the needed chunks have, each chunk counted once."""
        return int(self._blocks[self._owner != _NOBODY].sum(dtype=np.uint64))

    def own_bytes(self) -> tuple[list[int], list[int]]:
        """Stored bytes that only each point needs, and only each VM."""
        codes = 2 + self._points + self._vms
        sums = np.zeros(codes)
        for begin, end in self._ranges():
            sums += np.bincount(self._owner[begin:end], self._share[begin:end], codes)
        points, vms = sums[1 : 1 + self._points], sums[1 + self._points : -1].copy()
        np.add.at(vms, self._vm_of[1 : 1 + self._points], points)
        return [int(each) for each in points], [int(each) for each in vms]

    def needed_shares(self) -> dict[bytes, float]:
        """For each pack that a record names: which part of it is needed."""
        packs = len(self._index.packs)
        needed, total = np.zeros(packs), np.zeros(packs)
        for table, (begin, end) in zip(self._index.tables, self._ranges(), strict=True):
            share = self._share[begin:end]
            total += np.bincount(table.pack, share, packs)
            needed += np.bincount(table.pack, np.where(self._owner[begin:end], share, 0), packs)
        return {
            pack_bytes(int(self._index.packs[number])): float(needed[number] / total[number])
            for number in np.flatnonzero(total)
        }

    def _ranges(self) -> Iterable[tuple[int, int]]:
        """Begin and end of each of the index's tables in the columns."""
        return zip(self._bases[:-1].tolist(), self._bases[1:].tolist(), strict=True)

    def _rows(self, ids: bytes | bytearray) -> Rows:
        """The row of each id, -1 for ids of zeros. Raises ``VaultObjectMissing``."""
        keys = Keys.of(ids)
        rows = np.full(len(keys), -1, np.intp)
        wanted = np.flatnonzero((keys.high != 0) | (keys.low != 0))
        for number, chosen in keys.take(wanted).by_shard():
            chosen = wanted[chosen]
            found = self._index.tables[number].rows_of(keys.take(chosen))
            if (found < 0).any():
                raise VaultObjectMissing(
                    "A blob that a recovery point needs is missing in the vault's index."
                )
            rows[chosen] = self._bases[number] + found
        return rows

    def _shares(self, records: int) -> U32:
        """The stored bytes of each blob: of its segment's length an equal share."""
        places: U64 = np.empty(records, np.uint64)
        for table, (begin, end) in zip(self._index.tables, self._ranges(), strict=True):
            places[begin:end] = _places(table)
        places.sort()
        result: U32 = np.empty(records, np.uint32)
        for table, (begin, end) in zip(self._index.tables, self._ranges(), strict=True):
            here = _places(table)
            order = np.argsort(here)  # what is searched for in order is found ten times as fast
            here = here[order]
            blobs = places.searchsorted(here, "right") - places.searchsorted(here, "left")
            result[begin:end][order] = segment_lengths(table)[order] // blobs
        return result


def _places(table: Table) -> U64:
    """A number for each record's segment."""
    places: U64 = table.pack.astype(np.uint64) << np.uint64(32) | table.offset
    return places
