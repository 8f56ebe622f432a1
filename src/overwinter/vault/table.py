"""Index records in memory: sorted columns of numbers, searched and merged as a whole.

A record takes 28 bytes: 16 of the blob's id, which pack (as a number of the index's own), offset and extent.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from mmap import MAP_ANONYMOUS, MAP_PRIVATE, mmap
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from overwinter.vault.seal import ID_LENGTH

Bools = NDArray[np.bool_]
U32 = NDArray[np.uint32]
U64 = NDArray[np.uint64]
#: Numbers of rows.
Rows = NDArray[np.intp]

_Number = TypeVar("_Number", np.uint32, np.uint64)

#: A large index is kept in so many tables by ranges of ids, so that changing it copies one of them at a time.
SHARDS = 64
_SHARD_SHIFT = 64 - 6


@dataclass(frozen=True)
class Keys:
    """Blob ids as what is searched for: two numbers each."""

    high: U64
    low: U64

    @classmethod
    def of(cls, ids: bytes | bytearray | memoryview) -> "Keys":
        """The keys of ids that follow each other."""
        halves = np.frombuffer(ids, ">u8").reshape(-1, ID_LENGTH // 8)
        return cls(halves[:, 0].astype(np.uint64), halves[:, 1].astype(np.uint64))

    def __len__(self) -> int:
        return len(self.high)

    def take(self, rows: Rows | Bools) -> "Keys":
        """Some of the keys."""
        return Keys(self.high[rows], self.low[rows])

    def by_shard(self) -> Iterator[tuple[int, Rows]]:
        """For each shard that has any of the keys: its number, and which keys, in order of their ids."""
        if not len(self):
            return
        order = np.argsort(self.high)
        shards = self.high[order] >> np.uint64(_SHARD_SHIFT)
        for part in np.split(order, np.flatnonzero(shards[1:] != shards[:-1]) + 1):
            yield shard_of(int(self.high[part[0]])), part


@dataclass(frozen=True)
class Table:
    """Records sorted by id, then pack number and offset; never changed once made."""

    high: U64
    low: U64
    pack: U32
    offset: U32
    extent: U32

    def __len__(self) -> int:
        return len(self.high)

    @property
    def columns(self) -> "tuple[U64, U64, U32, U32, U32]":
        """All columns, in the order of the fields."""
        return self.high, self.low, self.pack, self.offset, self.extent

    @property
    def memory_bytes(self) -> int:
        """What the columns occupy."""
        return sum(column.nbytes for column in self.columns)

    def take(self, rows: Rows | Bools | slice) -> "Table":
        """Some of the records, in order; a slice shares its memory with this table."""
        return Table(self.high[rows], self.low[rows], self.pack[rows], self.offset[rows], self.extent[rows])

    def find(self, high: int, low: int) -> int | None:
        """The first row with one id, or null. Quicker than ``rows_of`` for one id."""
        row = int(self.high.searchsorted(np.uint64(high)))
        while row < len(self) and self.high[row] == high:
            if self.low[row] == low:
                return row
            row += 1
        return None

    def rows_of(self, keys: Keys) -> Rows:
        """For each id its first row, or -1. Keys in order are found several times as fast."""
        rows = self.high.searchsorted(keys.high)
        found = np.full(len(keys), -1, np.intp)
        left = np.arange(len(keys))
        while len(left):  # once, unless different ids share their first 8 bytes
            left = left[rows[left] < len(self)]
            left = left[self.high[rows[left]] == keys.high[left]]
            equal = self.low[rows[left]] == keys.low[left]
            found[left[equal]] = rows[left[equal]]
            left = left[~equal]
            rows[left] += 1
        return found

    def shards(self) -> "Iterator[tuple[int, Table]]":
        """For each shard that has any of the records: its number, and a view of them."""
        cuts = self.high.searchsorted(np.arange(SHARDS, dtype=np.uint64) << np.uint64(_SHARD_SHIFT))
        for number, begin, end in zip(range(SHARDS), cuts, (*cuts[1:], len(self)), strict=True):
            if begin < end:
                yield number, self.take(slice(begin, end))

    def repeats(self) -> Bools:
        """For each record whether it has the same id as the one before."""
        result = np.zeros(len(self), bool)
        result[1:] = (self.high[1:] == self.high[:-1]) & (self.low[1:] == self.low[:-1])
        return result


class PackNumbers:
    """The packs that records name, numbered in the order in which they came; none is ever dropped."""

    def __init__(self) -> None:
        self.ids: list[int] = []
        self._numbers: dict[int, int] = {}
        self._array: U64 = np.empty(0, np.uint64)

    def numbers_of(self, packs: U64) -> U32:
        """The numbers of packs; new ones get the next."""
        ids, which = np.unique(packs, return_inverse=True)
        numbers = []
        for pack in ids.tolist():
            if pack not in self._numbers:
                self.ids.append(pack)
                self._numbers[pack] = len(self.ids) - 1
            numbers.append(self._numbers[pack])
        return np.array(numbers, np.uint32)[which]

    def number_of(self, pack: int) -> int | None:
        """The number of a pack; null when no record ever named it."""
        return self._numbers.get(pack)

    def all(self) -> U64:
        """Every id, by number."""
        array = self._array
        if len(array) != len(self.ids):
            array = self._array = np.array(self.ids, np.uint64)
        return array


_NO_U32: U32 = np.empty(0, np.uint32)
_NO_U64: U64 = np.empty(0, np.uint64)
EMPTY = Table(_NO_U64, _NO_U64, _NO_U32, _NO_U32, _NO_U32)


def shard_of(high: int) -> int:
    """Number of the shard of ids that begin with these 8 bytes."""
    return high >> _SHARD_SHIFT


def numbered(keys: Keys, number: int = 0) -> Table:
    """Keys as unsorted records, with a number of the caller's in place of the pack's."""
    zeros = np.zeros(len(keys), np.uint32)
    return Table(keys.high, keys.low, np.full(len(keys), number, np.uint32), zeros, zeros)


def joined(tables: Sequence[Table]) -> Table:
    """The records of some tables one after another."""
    return Table(
        np.concatenate([table.high for table in tables]),
        np.concatenate([table.low for table in tables]),
        np.concatenate([table.pack for table in tables]),
        np.concatenate([table.offset for table in tables]),
        np.concatenate([table.extent for table in tables]),
    )


def merged(tables: Sequence[Table]) -> Table:
    """All records of some tables, or of unsorted columns, in one new table, without repeated records."""
    whole = joined(tables)
    order = np.argsort(whole.high, kind="stable")  # merges what is sorted in linear time
    high = whole.high[order]
    tied = np.zeros(len(high) + 1, bool)
    np.equal(high[1:], high[:-1], out=tied[1:-1])
    places = np.flatnonzero(tied[1:] | tied[:-1])
    if len(places):
        order = _ties_settled(whole, order, places)
    return kept(whole, order)


def kept(table: Table, rows: Rows | Bools) -> Table:
    """Some of a table's records, in order, in memory of their own that goes back to the system with them.

    On the heap, tables that are replaced again and again leave gaps of a quarter of the index (measured).
    """
    some = table.take(rows)
    return Table(
        _own_memory(some.high),
        _own_memory(some.low),
        _own_memory(some.pack),
        _own_memory(some.offset),
        _own_memory(some.extent),
    )


def _own_memory(column: NDArray[_Number]) -> NDArray[_Number]:
    memory = mmap(-1, max(1, column.nbytes), MAP_PRIVATE | MAP_ANONYMOUS)
    result = np.frombuffer(memory, column.dtype, len(column))
    result[:] = column
    return result


def _ties_settled(whole: Table, order: Rows, places: Rows) -> Rows:
    """The order with the records at ``places``, whose first 8 bytes of id are not unique, fully sorted."""
    some = whole.take(order[places])
    resorted = np.lexsort(some.columns[::-1])
    order[places] = order[places][resorted]
    some = some.take(resorted)
    repeated = np.ones(len(some), bool)
    repeated[0] = False
    for column in some.columns:
        repeated[1:] &= column[1:] == column[:-1]
    return np.delete(order, places[repeated])
