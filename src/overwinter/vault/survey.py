"""Where certain blobs are on disks: from damage in packs to ranges of disks."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from overwinter.model.extent import Extent, joined
from overwinter.vault.blobs import BlobStore
from overwinter.vault.chunking import BLOCK
from overwinter.vault.diskmap import FANOUT, DiskMap, Shape, decode_page, decode_root
from overwinter.vault.leaf import ZERO_ID, decode_leaf
from overwinter.vault.seal import ID_LENGTH, BlobKind
from overwinter.vault.table import Keys, Table


@dataclass(frozen=True)
class Touch:
    """``count`` blocks of a disk from block ``first`` that need a blob.

    ``row`` is the blob's in the table that was asked for, ``page`` its id when it is a page or a root: all
    below it is named.
    """

    first: int
    count: int
    row: int
    page: bytes | None = None


class Survey:
    """Finds the blobs of a table on disks. Pages without any are remembered and read once."""

    def __init__(self, blobs: BlobStore, wanted: Table) -> None:
        self._blobs = blobs
        self._wanted = wanted
        self._clean: set[bytes] = set()

    def touches(self, disk: DiskMap) -> Iterator[Touch]:
        """Where a disk needs them, ascending. Raises ``VaultDataCorrupt``, except for pages asked for."""
        shape = Shape(disk.size, disk.chunk_size)
        row = self._row(disk.root)
        if row >= 0:
            yield Touch(0, shape.blocks, row, disk.root)
            return
        tree = decode_root(self._blobs.read(BlobKind.PAGE, disk.root), disk.size, disk.chunk_size)
        yield from self._walk(shape, shape.top, 0, tree)

    def _walk(self, shape: Shape, level: int, page: int, page_id: bytes) -> Iterator[Touch]:
        if page_id == ZERO_ID or page_id in self._clean:
            return
        row = self._row(page_id)
        if row >= 0:
            yield Touch(shape.first(level, page), shape.page_blocks(level, page), row, page_id)
            return
        stored = self._blobs.read(BlobKind.PAGE, page_id)
        clean = True
        if level == 0:
            leaf = decode_leaf(stored, shape.page_blocks(0, page))
            rows = self._wanted.rows_of(Keys.of(leaf.ids))
            if (rows >= 0).any():
                clean = False
                for part, found in zip(leaf.parts(shape.first(0, page)), rows.tolist(), strict=True):
                    if found >= 0:
                        yield Touch(part.first, part.count, found)
        else:
            entries = decode_page(stored, level, shape.page_entries(level, page))
            for at in range(len(entries) // ID_LENGTH):
                child = entries[at * ID_LENGTH : (at + 1) * ID_LENGTH]
                for touch in self._walk(shape, level - 1, page * FANOUT + at, child):
                    clean = False
                    yield touch
        if clean:
            self._clean.add(page_id)

    def _row(self, blob_id: bytes) -> int:
        return int(self._wanted.rows_of(Keys.of(blob_id))[0])


def lost_parts(blobs: BlobStore, disk: DiskMap) -> Iterator[Touch]:
    """What of a disk needs blobs that were found damaged and have not been stored anew."""
    missing = blobs.missing()
    if len(missing):  # else there is no need to read the map
        yield from Survey(blobs, missing).touches(disk)


def extents(touches: Iterable[Touch], disk: DiskMap) -> Iterator[Extent]:
    """The ranges of a disk that are touched, neighbours as one."""
    return joined(_extent(touch, disk) for touch in touches)


def _extent(touch: Touch, disk: DiskMap) -> Extent:
    offset = touch.first * BLOCK
    return Extent(offset, min(touch.count * BLOCK, disk.size - offset))
