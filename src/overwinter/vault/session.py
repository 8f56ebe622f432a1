"""A session: the disks of one backup on their way into the vault, ended by a manifest or by nothing."""

import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace

from overwinter.model.errors import AlreadyExists, VaultError, VaultObjectMissing, VaultSessionEnded
from overwinter.model.extent import Extent
from overwinter.vault.blobs import BlobStore
from overwinter.vault.diskmap import (
    ZERO_ID,
    DiskMap,
    MapWriter,
    Shape,
    decode_root,
    encode_root,
)
from overwinter.vault.manifest import Manifest, open_manifest, seal_manifest
from overwinter.vault.pack import SEGMENT_BLOBS, SEGMENT_SIZE, BlobEncoder
from overwinter.vault.packing import BlobWriter
from overwinter.vault.plan import Span, batches, spans, with_reread
from overwinter.vault.points import each_manifest
from overwinter.vault.seal import BlobKind
from overwinter.vault.storage import Buffer
from overwinter.vault.survey import lost_parts
from overwinter.vault.workers import ordered_map, worker_count

#: What one worker reads at a time, in bytes: its new chunks become one segment.
_BATCH_BYTES = SEGMENT_SIZE

ReadDisk = Callable[[int, memoryview], None]
Progress = Callable[[int], None]
CheckCancelled = Callable[[], None]


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
class _Chunk:
    """A chunk that was read, and where it lies in the worker's buffer."""

    id: bytes
    begin: int
    end: int


@dataclass(frozen=True)
class _Stored:
    """What came of a batch: ids per span (null where the span reads as zeros), and its cost."""

    spans: list[tuple[Span, bytes | None]]
    cost: SessionStats


@dataclass(frozen=True)
class _Parent:
    """The map that an increment builds upon: its tree, what of it must be read again, and its lost pages."""

    tree: bytes
    lost: list[Span]
    lost_pages: frozenset[bytes]


class _Tools(threading.local):
    """What each worker thread keeps for itself."""

    def __init__(self) -> None:
        self.buffer = memoryview(bytearray(_BATCH_BYTES))
        self.encoder = BlobEncoder()


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
        self._chunk_size = chunk_size
        self._progress = progress
        self._cancelled = cancelled
        self._writer = BlobWriter(blobs, unreliable)
        self._tools = _Tools()
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
    ) -> DiskMap:
        """Store one disk and give its map.

        What of ``parent`` was found damaged is read again, wherever it lies.

        ``extents`` are the ranges (ascending, disjoint, bytes, any alignment) that may differ from
        ``parent``; everything else is as in ``parent``, or zero where that is null. ``read`` fills a buffer
        from an offset; it is called from several threads, for whole chunks clipped at the disk's end, which
        may reach beyond an extent.

        Raises ``ValueError`` for wrong extents or a parent of another size, ``VaultObjectMissing`` when the
        parent is no disk of a recovery point (its blobs may be deleted any time), and whatever ``read``,
        ``cancelled`` and the storage raise.
        """
        with self._failing_for_good():
            tree = self._store_chunks(size, extents, read, self._built_upon(target, size, parent))
            root = self._store_page(encode_root(size, self._chunk_size, tree))
        return DiskMap(size, root, self._chunk_size)

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
        self, size: int, extents: Iterable[Extent], read: ReadDisk, parent: _Parent | None
    ) -> bytes:
        """Store what may have changed, and what of the parent is lost; gives the new map's tree."""
        shape = Shape(size, self._chunk_size)
        parts = spans(extents, size, self._chunk_size, has_parent=parent is not None)
        parent = parent or _Parent(ZERO_ID, [], frozenset())
        work = batches(with_reread(parts, parent.lost), _BATCH_BYTES // self._chunk_size)

        def load(page_id: bytes) -> bytes | None:
            return None if page_id in parent.lost_pages else self._load_page(page_id)

        writer = MapWriter(shape, parent.tree, load, self._store_page)
        results = ordered_map(lambda batch: self._store_batch(batch, size, read), work, worker_count())
        with closing(results):  # no worker may outlive a failure here
            for stored in results:
                for span, ids in stored.spans:
                    if ids is None:
                        writer.clear(span.first, span.count)
                    else:
                        writer.put(span.first, ids)
                self._count(stored.cost)
        return writer.finish()

    def _built_upon(self, target: str, size: int, parent: DiskMap | None) -> _Parent | None:
        if parent is None:
            return None
        if (parent.size, parent.chunk_size) != (size, self._chunk_size):
            raise ValueError(f"disk {target} of {size} bytes cannot build upon a map of {parent.size} bytes")
        if parent.root not in self._roots_there():
            raise VaultObjectMissing(f"The recovery point that disk {target} builds upon is gone.")
        lost = list(lost_parts(self._blobs, parent))
        lost_pages = frozenset(touch.page for touch in lost if touch.page is not None)
        tree = ZERO_ID
        if parent.root not in lost_pages:
            tree = decode_root(self._load_page(parent.root), size, self._chunk_size)
        return _Parent(tree, [Span(touch.first, touch.count, zero=False) for touch in lost], lost_pages)

    def _roots_there(self) -> frozenset[bytes]:
        """Maps of the points there were when this session became visible: collections wait for its end."""
        if self._roots is None:  # no `cached_property`: its lock would hold up all sessions of the process
            self._roots = frozenset(
                disk.map.root for _, manifest in each_manifest(self._blobs) for disk in manifest.disks
            )
        return self._roots

    def _load_page(self, page_id: bytes) -> bytes:
        return self._blobs.read(BlobKind.PAGE, page_id)

    def _store_batch(self, batch: list[Span], size: int, read: ReadDisk) -> _Stored:
        """Read, hash, and store what is new; runs in a worker thread."""
        if self._cancelled is not None:
            self._cancelled()
        chunks: list[_Chunk] = []
        result: list[tuple[Span, bytes | None]] = []
        buffer = self._tools.buffer
        used = 0
        for span in batch:
            if span.zero:
                result.append((span, None))
                continue
            offset = span.first * self._chunk_size
            end = used + min(span.count * self._chunk_size, size - offset)
            read(offset, buffer[used:end])
            ids = []
            for begin in range(used, end, self._chunk_size):
                chunk_id, stop = ZERO_ID, min(begin + self._chunk_size, end)
                found = self._blobs.keys.identity(BlobKind.CHUNK, buffer[begin:stop])
                if found != self._blobs.keys.zero_chunk(stop - begin):
                    chunk_id = found
                    chunks.append(_Chunk(chunk_id, begin, stop))
                ids.append(chunk_id)
            result.append((span, b"".join(ids)))
            used = end
        new = self._store_new(buffer, chunks)
        cost = SessionStats(
            bytes_read=used,
            bytes_new=sum(chunk.end - chunk.begin for chunk in new),
            chunks_new=len(new),
            chunks_reused=len(chunks) - len(new),
        )
        return _Stored(result, cost)

    def _store_new(self, buffer: memoryview, chunks: list[_Chunk]) -> list[_Chunk]:
        """Store those chunks that the vault lacks; gives them."""
        wanted = self._writer.claim([chunk.id for chunk in chunks])
        new = [chunk for chunk, want in zip(chunks, wanted, strict=True) if want]
        for first in range(0, len(new), SEGMENT_BLOBS):
            segment = new[first : first + SEGMENT_BLOBS]
            # Only a disk's last chunk is shorter, and it comes last: the others are found by their number.
            encoding, content = self._tools.encoder.encode(_joined(buffer, segment))
            ids = [chunk.id for chunk in segment]
            self._writer.add(BlobKind.CHUNK, ids, self._chunk_size, encoding, content)
        return new

    def _store_page(self, page: bytes) -> bytes:
        page_id = self._blobs.keys.identity(BlobKind.PAGE, page)
        if self._writer.claim([page_id])[0]:
            encoding, content = self._tools.encoder.encode(page)
            self._writer.add(BlobKind.PAGE, [page_id], 0, encoding, content)
        return page_id

    def _count(self, cost: SessionStats) -> None:
        stats = self._stats
        self._stats = replace(
            stats,
            bytes_read=stats.bytes_read + cost.bytes_read,
            bytes_new=stats.bytes_new + cost.bytes_new,
            chunks_new=stats.chunks_new + cost.chunks_new,
            chunks_reused=stats.chunks_reused + cost.chunks_reused,
        )
        if self._progress is not None:
            self._progress(self._stats.bytes_read)


def _joined(buffer: memoryview, chunks: list[_Chunk]) -> Buffer:
    """The chunks one after another; without a copy when that is how they lie in the buffer."""
    begin, end = chunks[0].begin, chunks[-1].end
    if end - begin == sum(chunk.end - chunk.begin for chunk in chunks):
        return buffer[begin:end]
    return b"".join(buffer[chunk.begin : chunk.end] for chunk in chunks)
