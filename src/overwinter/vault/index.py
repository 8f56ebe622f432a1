"""Which blob lies where: sorted tables of fixed-width records, and the index objects that keep them.

A record is 48 bytes: blob id, pack id, offset, extent (`Entry.extent`). Memory is these bytes and nothing per
record besides: 200 MiB for 1 TiB of unique data in chunks of 256 KiB.
"""

import struct
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from overwinter.model.errors import VaultDataCorrupt
from overwinter.vault.pack import PACK_ID_LENGTH, Entry, split_extent
from overwinter.vault.seal import (
    ID_LENGTH,
    ObjectKind,
    Random,
    VaultKeys,
    open_object,
    seal_object,
)
from overwinter.vault.storage import Storage

_RECORD = struct.Struct(f">{ID_LENGTH}s{PACK_ID_LENGTH}sII")
RECORD_LENGTH = _RECORD.size

#: Records in one index object when a whole index is written anew (48 MiB).
_SEGMENT_RECORDS = 1024 * 1024

_PACK_SLICE = slice(ID_LENGTH, ID_LENGTH + PACK_ID_LENGTH)


@dataclass(frozen=True)
class Location:
    """Where a blob is stored: its pack, byte offset and length of its segment, its number in the segment."""

    pack: bytes
    offset: int
    length: int
    number: int


class IndexTable:
    """Records sorted by blob id, in one byte string."""

    def __init__(self, records: bytes) -> None:
        self.records = records

    @classmethod
    def of(cls, records: Iterable[bytes]) -> "IndexTable":
        """A table of records in any order."""
        return cls(b"".join(sorted(records)))

    def __len__(self) -> int:
        return len(self.records) // RECORD_LENGTH

    def find(self, blob_id: bytes) -> Location | None:
        """Where the blob lies, or null."""
        records = self.records
        at = self._first(blob_id) * RECORD_LENGTH
        if records[at : at + ID_LENGTH] != blob_id:
            return None
        _, pack, offset, extent = _RECORD.unpack_from(records, at)
        return Location(pack, offset, *split_extent(extent))

    def ids(self) -> Iterator[bytes]:
        """Every blob id, in order."""
        return (found[:ID_LENGTH] for found in _split(self.records))

    def packs(self) -> set[bytes]:
        """Every pack that a record names."""
        return {found[_PACK_SLICE] for found in _split(self.records)}

    def without(self, packs: set[bytes]) -> "IndexTable":
        """The table without the records of some packs."""
        return IndexTable(b"".join(kept for kept in _split(self.records) if kept[_PACK_SLICE] not in packs))

    def merged(self, other: "IndexTable") -> "IndexTable":
        """Both tables in one, without repeated records; made in 256 parts to bound the memory."""
        result = bytearray()
        for first in range(256):
            parts = [table._part(first) for table in (self, other)]
            result += b"".join(sorted({found for part in parts for found in _split(part)}))
        return IndexTable(bytes(result))

    def _part(self, first: int) -> bytes:
        """The records whose id begins with the byte ``first``."""
        begin = self._first(bytes([first]))
        end = len(self) if first == 255 else self._first(bytes([first + 1]))
        return self.records[begin * RECORD_LENGTH : end * RECORD_LENGTH]

    def _first(self, blob_id: bytes) -> int:
        """Number of the first record whose id is not below ``blob_id``."""
        records = self.records
        return bisect_left(
            range(len(self)),
            blob_id,
            key=lambda number: records[number * RECORD_LENGTH : number * RECORD_LENGTH + ID_LENGTH],
        )


class Index:
    """All tables of a vault, few and of growing size, so that a look-up is a handful of binary searches.

    Look-ups need no lock; changes are made by one thread at a time.
    """

    def __init__(self) -> None:
        self.tables: tuple[IndexTable, ...] = ()

    @property
    def memory_bytes(self) -> int:
        """What the records occupy."""
        return sum(len(table.records) for table in self.tables)

    def find(self, blob_id: bytes) -> Location | None:
        """Where a blob lies, or null when the vault does not have it."""
        for table in self.tables:
            location = table.find(blob_id)
            if location is not None:
                return location
        return None

    def add(self, table: IndexTable) -> None:
        """Take in a table; tables of like size are merged, so that their number stays logarithmic."""
        tables = sorted((*self.tables, table), key=len, reverse=True)
        while len(tables) > 1 and len(tables[-2]) < 2 * len(tables[-1]):
            last = tables.pop()
            tables[-1] = tables[-1].merged(last)
        self.tables = tuple(tables)

    def forget(self, packs: set[bytes]) -> None:
        """Drop every record of some packs."""
        self.tables = tuple(table for old in self.tables if len(table := old.without(packs)))


def record(pack: bytes, entry: Entry) -> bytes:
    """The index record of a pack's entry."""
    return _RECORD.pack(entry.id, pack, entry.offset, entry.extent)


def index_name(random: Random) -> str:
    """A new object name for an index object."""
    return f"index/{random(8).hex()}"


def write_table(storage: Storage, keys: VaultKeys, random: Random, table: IndexTable) -> int:
    """Store a table durably as new index objects; gives the bytes written."""
    written = 0
    step = _SEGMENT_RECORDS * RECORD_LENGTH
    for begin in range(0, len(table.records), step):
        name = index_name(random)
        cipher = keys.new_cipher(ObjectKind.INDEX, name, random)
        stored = seal_object(cipher, table.records[begin : begin + step])
        storage.put(name, [stored])
        written += len(stored)
    return written


def read_table(storage: Storage, keys: VaultKeys, name: str) -> IndexTable:
    """The table in one index object. Raises ``VaultDataCorrupt``."""
    records = open_object(keys, ObjectKind.INDEX, name, storage.get(name))
    if len(records) % RECORD_LENGTH:
        raise VaultDataCorrupt(f"Vault object {name} is damaged: it holds no whole records.")
    return IndexTable(records)


def _split(records: bytes) -> Iterator[bytes]:
    return (records[at : at + RECORD_LENGTH] for at in range(0, len(records), RECORD_LENGTH))
