"""Where chunks end when damage is healed: where they ended before, so that they get their names again."""

from functools import lru_cache

from overwinter.vault.blobs import BlobStore
from overwinter.vault.chunking import BLOCK, SEED_LENGTH, Chunker, Piece
from overwinter.vault.diskmap import DiskMap, MapReader, Shape, decode_root
from overwinter.vault.leaf import ZERO_ID
from overwinter.vault.seal import BlobKind
from overwinter.vault.survey import lost_parts

#: Pages kept for the next batches.
_PAGES = 1024


class MapCutter:
    """Cuts a disk as its map tells; what its lost pages told, nobody knows, and it is cut by content.

    Points that were stored one upon the other have chunks that end where a range ended that had changed. By
    content alone they would be cut elsewhere.
    """

    def __init__(self, blobs: BlobStore, disk: DiskMap) -> None:
        lost = frozenset(touch.page for touch in lost_parts(blobs, disk))

        @lru_cache(_PAGES)
        def load(page_id: bytes) -> bytes | None:
            return None if page_id in lost else blobs.read(BlobKind.PAGE, page_id)

        root = load(disk.root)
        tree = ZERO_ID if root is None else decode_root(root, disk.size, disk.chunk_size)
        self.chunk_size = disk.chunk_size
        self._map = MapReader(Shape(disk.size, disk.chunk_size), tree, load)
        self._chunker = Chunker(blobs.keys.chunking_seed(SEED_LENGTH), disk.chunk_size)

    def cut(self, first: int, data: memoryview) -> list[Piece]:
        """The pieces of whole blocks of data that begin at block ``first`` of the disk."""
        end = first + len(data) // BLOCK
        pieces: list[Piece] = []
        done = first
        for part in self._map.chunks(first, end - first):
            if part.first < done or part.end > end:
                continue
            pieces += self._by_content(data[(done - first) * BLOCK : (part.first - first) * BLOCK])
            pieces.append(Piece(part.count, zero=False))
            done = part.end
        return pieces + self._by_content(data[(done - first) * BLOCK :])

    def _by_content(self, data: memoryview) -> list[Piece]:
        return self._chunker.cut(0, data) if len(data) else []
