"""A session: the disks of one backup on their way into the vault, ended by a manifest or by nothing."""

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache

from overwinter.model.errors import AlreadyExists, VaultError, VaultObjectMissing, VaultSessionEnded
from overwinter.model.extent import Extent
from overwinter.vault.batch import BatchStore, CheckCancelled, Cutter, ReadDisk, Stored
from overwinter.vault.blobs import BlobStore
from overwinter.vault.chunking import BLOCK, SEED_LENGTH, Chunker, shortest_zeros
from overwinter.vault.diskmap import (
    DiskMap,
    LoadPage,
    MapReader,
    MapWriter,
    Shape,
    decode_root,
    encode_root,
)
from overwinter.vault.leaf import ZERO_ID
from overwinter.vault.manifest import Manifest, open_manifest, seal_manifest
from overwinter.vault.pack import SEGMENT_SIZE, Blob, BlobEncoder
from overwinter.vault.packing import BlobWriter
from overwinter.vault.plan import Span, Surroundings, batches, runs, spans, widened, with_reread
from overwinter.vault.points import each_readable
from overwinter.vault.seal import BlobKind
from overwinter.vault.survey import lost_parts
from overwinter.vault.workers import ordered_map, worker_count

#: What is read at a time, and what of new chunks one segment holds, in bytes.
_BATCH_BYTES = SEGMENT_SIZE

#: Pages of the parent's map kept ready (2 MiB): what is read is planned well before the new map is made.
_PAGES = 1024

Progress = Callable[[int], None]


@dataclass(frozen=True)
class SessionStats:
    """What a session has cost so far.

    ``bytes_read`` of the disks; ``bytes_new`` of them not in the vault before; ``bytes_stored`` in objects
    written; ``chunks_new`` stored and ``chunks_reused`` found in the vault (zero chunks count in neither).
    """

    bytes_read: int = 0
    bytes_new: int = 0
    bytes_stored: int = 0
    chunks_new: int = 0
    chunks_reused: int = 0


@dataclass(frozen=True)
class _Parent:
    """The map that an increment builds upon: its tree, what of it must be read again, and its lost pages."""

    tree: bytes
    lost: list[Span]
    lost_pages: frozenset[bytes]


class Session:
    """Made by ``VaultStore.session``; used by one thread, which does its work with others."""

    def __init__(
        self,
        blobs: BlobStore,
        point_id: str,
        commit_name: str,
        unreliable: Collection[bytes],
        chunk_size: int,
        progress: Progress | None,
        cancelled: CheckCancelled | None,
    ) -> None:
        self._blobs = blobs
        self._point_id = point_id
        self._commit_name = commit_name
        self._progress = progress
        self._cancelled = cancelled
        self._writer = BlobWriter(blobs, unreliable)
        self._chunker = Chunker(blobs.keys.chunking_seed(SEED_LENGTH), chunk_size)
        self._encoder = BlobEncoder()
        self._stats = SessionStats()
        self._failed = False
        self._roots: frozenset[bytes] | None = None

    @property
    def stats(self) -> SessionStats:
        """The cost so far; ``bytes_stored`` lacks what ``flush`` and ``commit`` still write."""
        return replace(self._stats, bytes_stored=self._stats.bytes_stored + self._writer.bytes_stored)

    def store_disk(
        self,
        target: str,
        size: int,
        extents: Iterable[Extent],
        read: ReadDisk,
        parent: DiskMap | None = None,
        cutter: Cutter | None = None,
    ) -> DiskMap:
        """Store one disk and give its map.

        What of ``parent`` was found damaged is read again, wherever it lies. Chunks are cut by content
        where no other ``cutter`` is given.

        ``extents`` are the ranges (ascending, disjoint, bytes, any alignment) that may differ from
        ``parent``; everything else is as in ``parent``, or zero where that is null. ``read`` fills a buffer
        from an offset; it is called from several threads, for up to 4 MiB. What it is asked for may reach
        beyond an extent: chunks of the parent are replaced as a whole.

        Raises ``ValueError`` for wrong extents or a parent of another size, ``VaultObjectMissing`` when the
        parent is no disk of a recovery point (its blobs may be deleted any time), and whatever ``read``,
        ``cancelled`` and the storage raise.
        """
        with self._failing_for_good():
            cutter = cutter or self._chunker
            upon = self._built_upon(target, size, parent, cutter.chunk_size)
            tree = self._store_chunks(size, extents, read, upon, cutter)
            root = self._store_page(encode_root(size, cutter.chunk_size, tree))
        return DiskMap(size, root, cutter.chunk_size)

    def flush(self) -> None:
        """Make everything stored so far durable, so that ``stats`` tells all but the manifest's own size."""
        self._writer.finish()

    def commit(self, manifest: Manifest) -> None:
        """Make everything stored so far durable, then the recovery point itself: from here on it exists.

        Committing the same manifest again is no error (a job that died right after its commit runs again).
        Raises ``AlreadyExists`` when another recovery point has this id, ``VaultSessionEnded`` when a
        collection took this process for dead, and ``VaultError`` when anything in this session failed before.
        """
        if manifest.point_id != self._point_id:
            raise ValueError(f"this session is for point {self._point_id}, not {manifest.point_id}")
        with self._failing_for_good():
            self._writer.finish()
        for disk in manifest.disks:
            self._blobs.locate(BlobKind.PAGE, disk.map.root)
        name = self._commit_name
        stored = seal_manifest(self._blobs.keys, self._blobs.random, name, manifest)
        try:
            self._blobs.storage.put(name, [stored])
        except AlreadyExists as error:
            found = open_manifest(self._blobs.keys, name, self._blobs.storage.get(name))
            if found is None:
                raise VaultSessionEnded(
                    "A collection of garbage took this backup for dead and ended it. Nothing was committed; "
                    "run it again."
                ) from error
            if found != manifest:
                raise
        self._stats = replace(self._stats, bytes_stored=self._stats.bytes_stored + len(stored))

    def close(self) -> None:
        """End the session; what was not committed becomes garbage, or is found again by the next run."""
        self._writer.close()

    @contextmanager
    def _failing_for_good(self) -> Iterator[None]:
        """After a failure some blobs that the session counts as stored may not be: it must not commit."""
        if self._failed:
            raise VaultError("This session has failed before; nothing was committed. Run the backup again.")
        try:
            yield
        except BaseException:
            self._failed = True
            raise

    def _store_chunks(
        self, size: int, extents: Iterable[Extent], read: ReadDisk, parent: _Parent | None, cutter: Cutter
    ) -> bytes:
        """Store what may have changed, and what of the parent is lost; gives the new map's tree."""
        shape = Shape(size, cutter.chunk_size)
        has_parent = parent is not None
        parent = parent or _Parent(ZERO_ID, [], frozenset())

        @lru_cache(_PAGES)
        def load(page_id: bytes) -> bytes | None:
            return None if page_id in parent.lost_pages else self._load_page(page_id)

        parts = with_reread(spans(extents, size, BLOCK, has_parent=has_parent), parent.lost)
        if has_parent:
            parts = widened(parts, _surroundings(shape, parent.tree, load))
        work = batches(runs(parts, shortest_zeros(cutter.chunk_size)), shape.region)
        writer = MapWriter(shape, parent.tree, load, self._store_page)
        batch_store = BatchStore(
            self._blobs.keys, self._writer, cutter, read, size, _BATCH_BYTES, self._cancelled
        )
        results = ordered_map(batch_store.store, work, worker_count())
        with closing(results):  # no worker may outlive a failure here
            for stored in results:
                writer.put(stored.parts)
                self._count(stored)
        return writer.finish()

    def _built_upon(self, target: str, size: int, parent: DiskMap | None, chunk_size: int) -> _Parent | None:
        if parent is None:
            return None
        if (parent.size, parent.chunk_size) != (size, chunk_size):
            raise ValueError(f"disk {target} of {size} bytes cannot build upon a map of {parent.size} bytes")
        if parent.root not in self._roots_there():
            raise VaultObjectMissing(f"The recovery point that disk {target} builds upon is gone.")
        lost = list(lost_parts(self._blobs, parent))
        lost_pages = frozenset(touch.page for touch in lost if touch.page is not None)
        tree = ZERO_ID
        if parent.root not in lost_pages:
            tree = decode_root(self._load_page(parent.root), size, chunk_size)
        return _Parent(tree, [Span(touch.first, touch.count, zero=False) for touch in lost], lost_pages)

    def _roots_there(self) -> frozenset[bytes]:
        """Maps of the points there were when this session became visible: collections wait for its end."""
        if self._roots is None:  # no `cached_property`: its lock would hold up all sessions of the process
            self._roots = frozenset(
                disk.map.root for _, manifest in each_readable(self._blobs) for disk in manifest.disks
            )
        return self._roots

    def _load_page(self, page_id: bytes) -> bytes:
        return self._blobs.read(BlobKind.PAGE, page_id)

    def _store_page(self, page: bytes) -> bytes:
        page_id = self._blobs.keys.identity(BlobKind.PAGE, page)
        if self._writer.claim([page_id])[0]:
            encoding, content = self._encoder.encode(page)
            self._writer.add(BlobKind.PAGE, [Blob(page_id, len(page))], encoding, content)
        return page_id

    def _count(self, stored: Stored) -> None:
        stats = self._stats
        self._stats = replace(
            stats,
            bytes_read=stats.bytes_read + stored.bytes_read,
            bytes_new=stats.bytes_new + stored.bytes_new,
            chunks_new=stats.chunks_new + stored.chunks_new,
            chunks_reused=stats.chunks_reused + stored.chunks_reused,
        )
        if self._progress is not None:
            self._progress(self._stats.bytes_read)


def _surroundings(shape: Shape, tree: bytes, load: LoadPage) -> Surroundings:
    """Which chunk of a map a block is in, as `plan.widened` asks for it."""

    reader = MapReader(shape, tree, load)

    def around(block: int) -> tuple[int, int]:
        for part in reader.chunks(block, 1):
            return part.first, part.end
        return block, block + 1

    return around
