"""One disk of a recovery point for readers that ask for large ranges, from many threads at once.

Each segment that a range needs is fetched and opened once for it, and the map's pages stay at hand. For a
whole disk ``restore`` is quicker: it reads in the order of the packs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

from overwinter.model.errors import VaultDataCorrupt, VaultObjectMissing
from overwinter.vault.blobs import BlobStore
from overwinter.vault.diskmap import ZERO_ID, DiskMap, MapReader, Shape, decode_root
from overwinter.vault.index import Location
from overwinter.vault.seal import BlobKind
from overwinter.vault.storage import Buffer

#: Pages of the map kept ready (1 MiB), which map 8 GiB in chunks of 256 KiB.
_PAGES = 64


@dataclass(frozen=True)
class _Wanted:
    """A chunk of the disk (``number``, ``id``) and where it is stored."""

    number: int
    id: bytes
    place: Location


class DiskReader:
    """Made by ``VaultStore.reader``. Methods may be called from several threads."""

    def __init__(self, blobs: BlobStore, disk: DiskMap) -> None:
        def load(page: bytes) -> bytes:
            return blobs.read(BlobKind.PAGE, page)

        self._blobs = blobs
        self._disk = disk
        tree = decode_root(load(disk.root), disk.size, disk.chunk_size)
        self._map = MapReader(Shape(disk.size, disk.chunk_size), tree, lru_cache(_PAGES)(load))

    def read(self, offset: int, buffer: memoryview) -> None:
        """Fill ``buffer`` with the disk's bytes from ``offset``, verified.

        Raises ``ValueError`` outside the disk, ``VaultDataCorrupt`` and ``VaultObjectMissing``.
        """
        disk = self._disk
        if offset < 0 or offset + len(buffer) > disk.size:
            raise ValueError(f"{len(buffer)} bytes from {offset} do not lie within {disk.size} bytes")
        buffer[:] = bytes(len(buffer))
        first, end = offset // disk.chunk_size, -(-(offset + len(buffer)) // disk.chunk_size)
        wanted = [
            _Wanted(number, chunk_id, self._blobs.locate(BlobKind.CHUNK, chunk_id))
            for run in self._map.runs(first, end - first)
            for number, chunk_id in run
            if chunk_id != ZERO_ID
        ]
        wanted.sort(key=lambda chunk: (chunk.place.pack, chunk.place.offset))
        for _, group in groupby(wanted, key=lambda chunk: (chunk.place.pack, chunk.place.offset)):
            chunks = list(group)
            for chunk, content in zip(chunks, self._contents(chunks), strict=True):
                start = chunk.number * disk.chunk_size
                if len(content) != min(disk.chunk_size, disk.size - start):
                    raise VaultDataCorrupt(f"The chunk at offset {start} of the disk has a wrong length.")
                low, high = max(start, offset), min(start + len(content), offset + len(buffer))
                buffer[low - offset : high - offset] = content[low - start : high - start]

    def _contents(self, chunks: Sequence[_Wanted]) -> list[Buffer]:
        """The verified contents of chunks of one segment."""
        place = chunks[0].place
        try:
            segment = self._blobs.segment(BlobKind.CHUNK, place)
        except VaultObjectMissing:  # a collection has just replaced the pack
            return [self._blobs.read(BlobKind.CHUNK, chunk.id) for chunk in chunks]
        contents: list[Buffer] = [segment.blobs(chunk.place.number) for chunk in chunks]
        for chunk, content in zip(chunks, contents, strict=True):
            self._blobs.check(BlobKind.CHUNK, chunk.id, place.pack, place.offset, content)
        return contents
