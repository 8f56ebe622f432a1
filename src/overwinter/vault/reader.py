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
from overwinter.vault.chunking import BLOCK, Piece
from overwinter.vault.diskmap import DiskMap, MapReader, Shape, decode_root
from overwinter.vault.index import Location
from overwinter.vault.leaf import Part
from overwinter.vault.seal import BlobKind
from overwinter.vault.storage import Buffer

#: Pages of the map kept ready (200 KiB), which map 1 GiB.
_PAGES = 64


@dataclass(frozen=True)
class _Wanted:
    """A chunk of the disk and where it is stored."""

    part: Part
    place: Location


class DiskReader:
    """Made by ``VaultStore.reader``. Methods may be called from several threads."""

    def __init__(self, blobs: BlobStore, disk: DiskMap) -> None:
        self.chunk_size = disk.chunk_size

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
        first, end = offset // BLOCK, -(-(offset + len(buffer)) // BLOCK)
        wanted = [
            _Wanted(part, self._blobs.locate(BlobKind.CHUNK, part.id))
            for part in self._map.chunks(first, end - first)
        ]
        wanted.sort(key=lambda chunk: (chunk.place.pack, chunk.place.offset))
        for _, group in groupby(wanted, key=lambda chunk: (chunk.place.pack, chunk.place.offset)):
            chunks = list(group)
            for chunk, content in zip(chunks, self._contents(chunks), strict=True):
                start = chunk.part.first * BLOCK
                if len(content) != disk.length(chunk.part):
                    raise VaultDataCorrupt(f"The chunk at offset {start} of the disk has a wrong length.")
                low, high = max(start, offset), min(start + len(content), offset + len(buffer))
                buffer[low - offset : high - offset] = content[low - start : high - start]

    def cut(self, first: int, data: memoryview) -> list[Piece]:
        """Cut data of this disk, whole blocks from block ``first``, as its map is: for a copy of it.

        Raises ``VaultDataCorrupt`` unless each chunk is what the map names.
        """
        pieces: list[Piece] = []
        done, end = first, first + len(data) // BLOCK
        for part in self._map.chunks(first, end - first):
            begin, stop = max(first, part.first), min(end, part.end)
            if begin > done:
                pieces.append(Piece(begin - done, zero=True))
            pieces.append(Piece(stop - begin, zero=False))
            done = stop
            if (begin, stop) == (part.first, part.end):
                content = data[(begin - first) * BLOCK :][: self._disk.length(part)]
                if self._blobs.keys.identity(BlobKind.CHUNK, content) != part.id:
                    raise VaultDataCorrupt(f"What was read of a disk at block {begin} differs from its map.")
        if end > done:
            pieces.append(Piece(end - done, zero=True))
        return pieces

    def _contents(self, chunks: Sequence[_Wanted]) -> list[Buffer]:
        """The verified contents of chunks of one segment."""
        place = chunks[0].place
        try:
            segment = self._blobs.segment(BlobKind.CHUNK, place)
        except VaultObjectMissing:  # a collection has just replaced the pack
            return [self._blobs.read(BlobKind.CHUNK, chunk.part.id) for chunk in chunks]
        contents: list[Buffer] = [segment.blobs(chunk.place.number) for chunk in chunks]
        for chunk, content in zip(chunks, contents, strict=True):
            self._blobs.check(BlobKind.CHUNK, chunk.part.id, place.pack, place.offset, content)
        return contents
