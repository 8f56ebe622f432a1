"""Collection: removing packs that no recovery point needs any more. It fails closed.

Order: find out what is needed, write an index without the rest, remove the old index, remove the packs. A
crash anywhere leaves at worst packs that nothing names, which the next collection removes.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from overwinter.vault.blobs import BlobStore
from overwinter.vault.diskmap import ZERO_ID, DiskMap
from overwinter.vault.pack import pack_id
from overwinter.vault.restore import open_map
from overwinter.vault.seal import BlobKind

#: An index of more objects than this is written anew as one, so that opening a vault stays quick.
_MOST_INDEX_OBJECTS = 64


@dataclass(frozen=True)
class CollectStats:
    """What a collection did: packs removed and kept, and bytes of the storage freed by removed packs."""

    packs_removed: int
    packs_kept: int
    bytes_freed: int


class Marker:
    """Finds the packs that maps need. Pages that several maps share are walked once."""

    def __init__(self, blobs: BlobStore) -> None:
        self.packs: set[bytes] = set()
        self._blobs = blobs
        self._seen: set[bytes] = set()

    def mark(self, disk: DiskMap) -> None:
        """Add what one disk needs. Raises ``VaultDataCorrupt`` when its map cannot be read."""
        if disk.root in self._seen:
            return
        self._need(BlobKind.PAGE, disk.root)
        for run in open_map(self._blobs, disk).pages(self._skip):
            for _, chunk_id in run:
                if chunk_id != ZERO_ID:
                    self.packs.add(self._blobs.locate(BlobKind.CHUNK, chunk_id).pack)

    def _skip(self, page_id: bytes) -> bool:
        if page_id in self._seen:
            return True
        self._need(BlobKind.PAGE, page_id)
        return False

    def _need(self, kind: BlobKind, blob_id: bytes) -> None:
        self._seen.add(blob_id)
        self.packs.add(self._blobs.locate(kind, blob_id).pack)


def collect(blobs: BlobStore, committed: Iterable[DiskMap]) -> CollectStats:
    """Remove what no map of ``committed`` and no open session needs.

    ``committed`` is iterated once, while sessions that end are still taken into account.
    """
    with blobs.collecting():
        blobs.storage.discard_unfinished()
        packs = {
            pack: stored
            for stored in blobs.storage.list("packs/")
            if (pack := pack_id(stored.name)) is not None
        }
        marker = Marker(blobs)
        for disk in committed:
            marker.mark(disk)
        marked: set[DiskMap] = set()
        with blobs.publishing:
            while True:
                with blobs.lock:
                    late = blobs.pinned_maps() - marked
                    if not late:
                        doomed = set(packs) - marker.packs - blobs.pinned_packs()
                        stale = any(doomed & table.packs() for table in blobs.index.tables)
                        blobs.index.forget(doomed)
                        break
                for disk in late:
                    marker.mark(disk)
                marked |= late
            old = [stored.name for stored in blobs.storage.list("index/")]
            if stale or len(old) > _MOST_INDEX_OBJECTS:
                for table in blobs.index.tables:
                    blobs.write_index(table)
                blobs.storage.delete(old)
        blobs.storage.delete([packs[pack].name for pack in sorted(doomed)])
    return CollectStats(
        packs_removed=len(doomed),
        packs_kept=len(packs) - len(doomed),
        bytes_freed=sum(packs[pack].size for pack in doomed),
    )
