"""Filling a new qcow2 image by direct writes: where each cluster lies is decided here, not by a running QEMU.

A restore writes every cluster of an empty image once. Allocating them needs a counter and the L2 tables, so
data goes from many threads straight to its place in the file; through ``qemu-nbd`` it would be copied over a
socket first, which took twice as long. ``qemu-img create`` has made the header, and a header that asks for
anything but plain clusters is refused. Source of the layout: QEMU's ``docs/interop/qcow2.txt``.

Order of writes: data and L2 tables, reference counts, header (which now names the new counts), L1 table.
Until the L1 table is written the image is a valid empty one whose file is longer than it needs to be.
"""

import os
import struct
import threading
from collections import OrderedDict
from collections.abc import Iterator

from overwinter.model.errors import ImageError

#: magic, version, backing file (offset, length), cluster bits, size, encryption, L1 (entries, offset),
#: reference count table (offset, clusters), snapshots (count, offset), features (incompatible, compatible,
#: auto-clear), bits of a reference count as a power of two.
_HEADER = struct.Struct(">4sIQIIQIIQQIIQQQQI")
_COUNTS_PLACE = 48
_COUNTS = struct.Struct(">QI")
_MAGIC = b"QFI\xfb"
_REFCOUNT_16_BIT = 4

#: The highest bit of an L1 or L2 entry: the cluster is used once and may be written in place.
_COPIED = 1 << 63
_ENTRY = struct.Struct(">Q")
_COUNT_LENGTH = 2

#: L2 tables kept in memory, in bytes: with clusters of 64 KiB enough for 256 GiB of disk at once.
_TABLES_MEMORY = 32 << 20


class NewQcow2:
    """Clusters of one new image; the methods may be called from many threads until ``finish``.

    ``file`` is open for reading and writing and stays the caller's. Raises ImageError when it is no new,
    empty qcow2 image. Whatever an abandoned attempt left behind the header is cut off.
    """

    def __init__(self, file: int, path: str) -> None:
        self._file = file
        self._path = path
        head = os.pread(file, _HEADER.size, 0)
        if len(head) != _HEADER.size or head[:4] != _MAGIC:
            raise ImageError(f"{path} is no qcow2 image")
        fields = _HEADER.unpack(head)
        version, backing, _, bits, self.size, encryption, l1_entries, self._l1_offset = fields[1:9]
        counts_offset, counts_clusters, snapshots, _, incompatible = fields[9:14]
        if (version, backing, encryption, snapshots, incompatible, fields[16]) != (
            3, 0, 0, 0, 0, _REFCOUNT_16_BIT,
        ):  # fmt: skip
            raise ImageError(f"{path} has features that a new image of ours does not have")
        self._cluster: int = 1 << bits
        self._l2_entries = self._cluster // _ENTRY.size
        self._l1 = bytearray(os.pread(file, l1_entries * _ENTRY.size, self._l1_offset))
        if any(self._l1) or len(self._l1) != l1_entries * _ENTRY.size:
            raise ImageError(f"{path} is not empty")
        first_counts = _ENTRY.unpack(os.pread(file, _ENTRY.size, counts_offset))[0]
        #: Clusters of the first reference counts, which `finish` replaces: they end unused.
        self._replaced = [
            *range(counts_offset >> bits, (counts_offset >> bits) + counts_clusters),
            first_counts >> bits,
        ]
        l1_end = self._l1_offset + len(self._l1)
        self._next: int = max(-(-l1_end // self._cluster), *(number + 1 for number in self._replaced))
        self._tables: OrderedDict[int, bytearray] = OrderedDict()
        self._lock = threading.Lock()
        os.ftruncate(file, self._next * self._cluster)

    def write(self, offset: int, data: memoryview) -> None:
        """Write bytes of the disk. Raises ``OSError``."""
        with self._lock:
            runs = list(self._runs(offset, len(data)))
        for place, length in runs:
            piece, data = data[:length], data[length:]
            while piece:
                count = os.pwrite(self._file, piece, place)
                piece, place = piece[count:], place + count

    def finish(self) -> None:
        """Write all tables and make the image durable. Raises ``OSError``."""
        with self._lock:
            for l1_index, table in self._tables.items():
                self._store(l1_index, table)
            counts_offset, counts_clusters = self._write_counts()
            os.ftruncate(self._file, self._next * self._cluster)
            os.fsync(self._file)
            _write(self._file, _COUNTS.pack(counts_offset, counts_clusters), _COUNTS_PLACE)
            os.fsync(self._file)
            _write(self._file, self._l1, self._l1_offset)
            os.fsync(self._file)

    def _runs(self, offset: int, length: int) -> Iterator[tuple[int, int]]:
        """Places in the file (offset, length) of a range of the disk, given to it now where it had none."""
        begin = place = run = 0
        while length:
            number, within = divmod(offset, self._cluster)
            part = min(length, self._cluster - within)
            place = self._place(number) + within
            if place != begin + run:
                if run:
                    yield begin, run
                begin, run = place, 0
            run += part
            offset, length = offset + part, length - part
        if run:
            yield begin, run

    def _place(self, number: int) -> int:
        """Where the disk's cluster ``number`` lies in the file."""
        l1_index, at = divmod(number, self._l2_entries)
        table = self._table(l1_index)
        place = _entry(table, at)
        if not place:
            place = self._allocate()
            _set_entry(table, at, place)
        return place

    def _table(self, l1_index: int) -> bytearray:
        if l1_index in self._tables:
            self._tables.move_to_end(l1_index)
            return self._tables[l1_index]
        if (len(self._tables) + 1) * self._cluster > _TABLES_MEMORY and self._tables:
            self._store(*self._tables.popitem(last=False))
        place = _entry(self._l1, l1_index)
        if place:
            table = bytearray(os.pread(self._file, self._cluster, place))
        else:
            _set_entry(self._l1, l1_index, self._allocate())
            table = bytearray(self._cluster)
        self._tables[l1_index] = table
        return table

    def _store(self, l1_index: int, table: bytearray) -> None:
        _write(self._file, table, _entry(self._l1, l1_index))

    def _allocate(self, clusters: int = 1) -> int:
        place = self._next * self._cluster
        self._next += clusters
        return place

    def _write_counts(self) -> tuple[int, int]:
        """Write reference counts of the whole file, themselves included.

        Gives the place of their table and its clusters.
        """
        per_block = self._cluster // _COUNT_LENGTH
        blocks = table_clusters = 0
        while True:  # the counts need clusters, which need counts
            needed = -(-(self._next + blocks + table_clusters) // per_block)
            needed_table = -(-needed * _ENTRY.size // self._cluster)
            if (needed, needed_table) == (blocks, table_clusters):
                break
            blocks, table_clusters = needed, needed_table
        blocks_place = self._allocate(blocks)
        table_place = self._allocate(table_clusters)
        for number in range(blocks):
            first = number * per_block
            used = min(per_block, self._next - first)
            counts = bytearray(b"\0\1" * used)
            for replaced in self._replaced:
                if first <= replaced < first + used:
                    at = (replaced - first) * _COUNT_LENGTH
                    counts[at : at + _COUNT_LENGTH] = b"\0\0"
            _write(self._file, counts, blocks_place + number * self._cluster)
        table = b"".join(_ENTRY.pack(blocks_place + number * self._cluster) for number in range(blocks))
        _write(self._file, table, table_place)
        return table_place, table_clusters


def _entry(table: bytearray, number: int) -> int:
    """The place that an entry of an L1 or L2 table names; 0 when it is unused."""
    entry: int = _ENTRY.unpack_from(table, number * _ENTRY.size)[0]
    return entry & ~_COPIED


def _set_entry(table: bytearray, number: int, place: int) -> None:
    _ENTRY.pack_into(table, number * _ENTRY.size, place | _COPIED)


def _write(file: int, data: bytes | bytearray, place: int) -> None:
    rest = memoryview(data)
    while rest:
        count = os.pwrite(file, rest, place)
        rest, place = rest[count:], place + count
