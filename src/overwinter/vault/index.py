"""Which blob lies where: the index in memory, and the index objects that keep it.

In memory a record takes 28 bytes (``table.py``): 167 MiB for 1 TiB of unique data in chunks of 176 KiB. Most
records are in one table per shard; a few recent tables of growing size hold what was added since. So a
look-up is a handful of binary searches, and no change of the index copies it as a whole.
"""

import struct
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from overwinter.model.errors import VaultDataCorrupt
from overwinter.vault.pack import NUMBER_BITS, PACK_ID_LENGTH, Entry, split_extent
from overwinter.vault.seal import ID_LENGTH, ObjectKind, Random, VaultKeys, open_object, seal_object
from overwinter.vault.storage import Storage, StoredObject
from overwinter.vault.table import (
    EMPTY,
    SHARDS,
    U32,
    U64,
    Bools,
    Keys,
    PackNumbers,
    Rows,
    Table,
    kept,
    merged,
    shard_of,
)

_ID = struct.Struct(">QQ")
_RECORD = struct.Struct(f">{ID_LENGTH}s{PACK_ID_LENGTH}sII")
RECORD_LENGTH = _RECORD.size

#: The same record as numpy sees it.
_COLUMNS = np.dtype([("high", ">u8"), ("low", ">u8"), ("pack", ">u8"), ("offset", ">u4"), ("extent", ">u4")])

#: Records in one index object when a whole index is written anew (8 MiB).
_SEGMENT_RECORDS = 256 * 1024

#: Recent tables go into the shards when they hold more than this many records and 1/8 of all.
_MOST_RECENT = 64 * 1024

#: A recent table is at least so many times as large as the next smaller one.
_GROWTH = 4


@dataclass(frozen=True)
class Location:
    """Where a blob is stored: its pack, byte offset and length of its segment, its number in the segment."""

    pack: bytes
    offset: int
    length: int
    number: int


@dataclass(frozen=True)
class Locations:
    """Where several blobs are stored, as columns; what is not ``found`` has zeros in the others.

    ``pack`` holds ids of packs as numbers, see ``pack_bytes``; ``extent`` as in ``Entry.extent``.
    """

    found: Bools
    pack: U64
    offset: U32
    extent: U32

    def __len__(self) -> int:
        return len(self.found)

    def __getitem__(self, number: int) -> Location | None:
        if not self.found[number]:
            return None
        pack = pack_bytes(int(self.pack[number]))
        return Location(pack, int(self.offset[number]), *split_extent(int(self.extent[number])))


@dataclass(frozen=True)
class IndexTable:
    """Records as an index object holds them, sorted by id."""

    records: bytes

    @classmethod
    def of(cls, records: Iterable[bytes]) -> "IndexTable":
        """A table of records in any order."""
        return cls(b"".join(sorted(records)))

    def __len__(self) -> int:
        return len(self.records) // RECORD_LENGTH


@dataclass(frozen=True)
class Snapshot:
    """A whole index at one time: a table per shard, and the ids of packs by their numbers in the tables.

    While it is held, so is the memory of tables that the index has replaced since.
    """

    tables: tuple[Table, ...]
    packs: U64

    def segments(self) -> Iterator[IndexTable]:
        """All records, each once, in tables of at most 8 MiB, in order of ids."""
        held: list[Table] = []
        for shard in self.tables:
            for begin in range(0, len(shard), _SEGMENT_RECORDS):
                piece = shard.take(slice(begin, begin + _SEGMENT_RECORDS))
                if sum(map(len, held)) + len(piece) > _SEGMENT_RECORDS:
                    yield _stored(held, self.packs)
                    held = []
                held.append(piece)
        if any(map(len, held)):
            yield _stored(held, self.packs)


class Index:
    """All records of a vault.

    Look-ups need no lock and may come from many threads; changes and ``snapshot`` are asked for by one
    thread at a time. Tables are replaced, never changed. A record moves from the recent tables into
    its shard before it leaves them, and look-ups take them in that order, so that they never miss it.
    """

    def __init__(self) -> None:
        self._recent: tuple[Table, ...] = ()
        self._shards = [EMPTY] * SHARDS
        self._packs = PackNumbers()
        self._bad_places: U64 = np.empty(0, np.uint64)
        self._distrusted = EMPTY

    def __len__(self) -> int:
        return sum(map(len, self._tables()))

    @property
    def memory_bytes(self) -> int:
        """What the records occupy."""
        return sum(table.memory_bytes for table in self._tables())

    def find(self, blob_id: bytes) -> Location | None:
        """Where a blob lies, or null when the vault does not have it."""
        high, low = _ID.unpack(blob_id)
        for table in (*self._recent, self._shards[shard_of(high)]):
            row = table.find(high, low)
            if row is not None:
                pack = self._packs.ids[table.pack[row]]
                return Location(
                    pack_bytes(pack), int(table.offset[row]), *split_extent(int(table.extent[row]))
                )
        return None

    def find_many(self, ids: bytes | bytearray | memoryview) -> Locations:
        """Where the blobs of ids that follow each other lie. Best for thousands at a time."""
        return self.find_keys(Keys.of(ids))

    def find_keys(self, keys: Keys) -> Locations:
        """Where the blobs with some keys lie."""
        found = np.zeros(len(keys), bool)
        pack, offset, extent = (np.zeros(len(keys), np.uint32) for _ in range(3))

        def look(table: Table, wanted: Rows) -> None:
            rows = table.rows_of(keys.take(wanted))
            there = rows >= 0
            rows, wanted = rows[there], wanted[there]
            found[wanted] = True
            pack[wanted], offset[wanted], extent[wanted] = (
                column[rows] for column in (table.pack, table.offset, table.extent)
            )

        for recent in self._recent:
            look(recent, np.flatnonzero(~found))
        left = np.flatnonzero(~found)
        for number, chosen in keys.take(left).by_shard():
            look(self._shards[number], left[chosen])
        packs = np.zeros(len(keys), np.uint64)
        packs[found] = self._packs.all()[pack[found]]
        return Locations(found, packs, offset, extent)

    def packs(self) -> set[bytes]:
        """Every pack that a record names."""
        tables = self._tables()
        named = np.zeros(len(self._packs.ids), bool)
        for table in tables:
            named[table.pack] = True
        return {pack_bytes(self._packs.ids[number]) for number in np.flatnonzero(named)}

    def add(self, *tables: IndexTable) -> None:
        """Take in tables; many small ones are best given together."""
        trusted = self._trusted(self._numbered(tables))
        recent = sorted((*self._recent, trusted), key=len, reverse=True)
        if sum(map(len, recent)) > max(_MOST_RECENT, sum(map(len, self._shards)) // 8):
            self._recent = tuple(recent)
            self._consolidate()
            return
        while len(recent) > 1 and len(recent[-2]) < _GROWTH * len(recent[-1]):
            recent[-2:] = [merged(recent[-2:])]
        self._recent = tuple(recent)

    def forget(self, packs: set[bytes]) -> None:
        """Drop every record of some packs."""
        self._retain(lambda pack: pack not in packs)

    def keep(self, packs: set[bytes]) -> None:
        """Drop every record of other packs than these: those that are really there."""
        self._retain(lambda pack: pack in packs)

    def distrust(self, pack: bytes, offsets: Collection[int]) -> None:
        """Treat the records of damaged segments as not there, those of now and those that are added later."""
        (number,) = self._packs.numbers_of(np.array([int.from_bytes(pack, "big")], np.uint64)).tolist()
        places = np.array([_place(number, offset) for offset in offsets], np.uint64)
        self._bad_places = np.union1d(self._bad_places, places)
        for shard, table in enumerate(self._shards):
            self._shards[shard] = self._trusted(table)
        self._recent = tuple(self._trusted(table) for table in self._recent)

    def distrusted(self, pack: bytes, offsets: U32) -> Bools:
        """For each offset whether the segment there is distrusted."""
        number = self._packs.number_of(int.from_bytes(pack, "big"))
        if number is None:
            return np.zeros(len(offsets), bool)
        return np.isin(_places(np.uint32(number), offsets), self._bad_places)

    def distrusted_keys(self) -> tuple[Keys, U64]:
        """The blobs whose records are distrusted, and the packs these name, as numbers."""
        table = self._distrusted
        return Keys(table.high, table.low), self._packs.all()[table.pack]

    def clear(self) -> None:
        """Drop every record."""
        self._recent = ()
        self._shards = [EMPTY] * SHARDS
        self._distrusted = EMPTY
        self._bad_places = np.empty(0, np.uint64)

    def snapshot(self) -> Snapshot:
        """All records as they are now, each once."""
        self._consolidate()
        return Snapshot(tuple(self._shards), self._packs.all())

    def _tables(self) -> tuple[Table, ...]:
        return (*self._recent, *self._shards)

    def _consolidate(self) -> None:
        """Move the recent tables' records into the shards."""
        parts: list[list[Table]] = [[] for _ in self._shards]
        for table in self._recent:
            for number, part in table.shards():
                parts[number].append(part)
        for number, added in enumerate(parts):
            if added:
                self._shards[number] = merged([self._shards[number], *added])
        self._recent = ()

    def _retain(self, wanted: Callable[[bytes], bool]) -> None:
        """Drop every record whose pack is not wanted."""
        packs = np.array([wanted(pack_bytes(pack)) for pack in self._packs.ids], bool)
        for number, shard in enumerate(self._shards):
            self._shards[number] = _of_packs(shard, packs)
        self._recent = tuple(_of_packs(table, packs) for table in self._recent)
        self._distrusted = _of_packs(self._distrusted, packs)

    def _trusted(self, table: Table) -> Table:
        """The records whose segments are not distrusted; the others are kept aside."""
        if not len(self._bad_places):
            return table
        bad = np.isin(_places(table.pack, table.offset), self._bad_places)
        if not bad.any():
            return table
        self._distrusted = merged([self._distrusted, table.take(bad)])
        return kept(table, ~bad)

    def _numbered(self, tables: Sequence[IndexTable]) -> Table:
        """The records of some tables in columns."""
        stored = np.frombuffer(b"".join(table.records for table in tables), _COLUMNS)
        return merged(
            [
                Table(
                    stored["high"].astype(np.uint64),
                    stored["low"].astype(np.uint64),
                    self._packs.numbers_of(stored["pack"].astype(np.uint64)),
                    stored["offset"].astype(np.uint32),
                    stored["extent"].astype(np.uint32),
                )
            ]
        )


def record(pack: bytes, entry: Entry) -> bytes:
    """The index record of a pack's entry."""
    return _RECORD.pack(entry.id, pack, entry.offset, entry.extent)


def blob_id(high: int, low: int) -> bytes:
    """A blob's id from its form as two numbers."""
    return _ID.pack(high, low)


def segment_lengths(table: Table) -> U32:
    """For each record the stored length of its segment, in bytes."""
    lengths: U32 = table.extent >> np.uint32(NUMBER_BITS)
    return lengths


def pack_bytes(pack: int) -> bytes:
    """A pack's id from its form as a number."""
    return pack.to_bytes(PACK_ID_LENGTH, "big")


def index_name(random: Random) -> str:
    """A new object name for an index object."""
    return f"index/{random(8).hex()}"


def write_table(storage: Storage, keys: VaultKeys, random: Random, table: IndexTable) -> list[StoredObject]:
    """Store a table durably as new index objects; gives these."""
    written = []
    step = _SEGMENT_RECORDS * RECORD_LENGTH
    for begin in range(0, len(table.records), step):
        name = index_name(random)
        cipher = keys.new_cipher(ObjectKind.INDEX, name, random)
        stored = seal_object(cipher, table.records[begin : begin + step])
        storage.put(name, [stored])
        written.append(StoredObject(name, len(stored)))
    return written


def read_table(storage: Storage, keys: VaultKeys, name: str) -> IndexTable:
    """The table in one index object. Raises ``VaultDataCorrupt``."""
    records = open_object(keys, ObjectKind.INDEX, name, storage.get(name))
    if len(records) % RECORD_LENGTH:
        raise VaultDataCorrupt(f"Vault object {name} is damaged: it holds no whole records.")
    return IndexTable(records)


def _place(pack: int, offset: int) -> int:
    """A segment's pack (by number) and offset in one number."""
    return pack << 32 | offset


def _places(packs: U32 | np.uint32, offsets: U32) -> U64:
    return packs.astype(np.uint64) << np.uint64(32) | offsets.astype(np.uint64)


def _of_packs(table: Table, packs: Bools) -> Table:
    """The records whose pack's number is true in ``packs``."""
    rows = packs[table.pack]
    return table if rows.all() else kept(table, rows)


def _stored(tables: list[Table], packs: U64) -> IndexTable:
    """Records in the form of index objects."""
    stored = np.empty(sum(map(len, tables)), _COLUMNS)
    begin = 0
    for table in tables:
        part = stored[begin : begin + len(table)]
        part["high"], part["low"], part["pack"] = table.high, table.low, packs[table.pack]
        part["offset"], part["extent"] = table.offset, table.extent
        begin += len(table)
    return IndexTable(stored.tobytes())
