"""One open vault: recovery points, sessions that add them, restores, deletion and collection."""

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from uuid import UUID

from overwinter.model.errors import AlreadyExists, VaultDataCorrupt, VaultError, VaultObjectMissing
from overwinter.model.extent import Extent
from overwinter.vault import difference, generations, points, restore
from overwinter.vault.announcements import DEFAULT_TIMING, Announcement, Timing
from overwinter.vault.blobs import BlobStore
from overwinter.vault.collect import Collection, CollectStats
from overwinter.vault.diskmap import DiskMap
from overwinter.vault.keys import CONFIG, KeySource, first_wrap, unlock, wrap_name
from overwinter.vault.manifest import Manifest
from overwinter.vault.points import DeletedPoint
from overwinter.vault.presence import Presence
from overwinter.vault.reader import DiskReader
from overwinter.vault.seal import (
    KEY_LENGTH,
    ObjectKind,
    Random,
    VaultKeys,
    seal_object,
)
from overwinter.vault.session import CheckCancelled, Progress, Session
from overwinter.vault.stats import VaultStats, vault_stats
from overwinter.vault.storage import ReadCache, Storage, open_storage

DEFAULT_CHUNK_SIZE = 256 * 1024

#: Chunk sizes that a vault may have, in bytes; a power of two between these.
_CHUNK_SIZES = (4 * 1024, 4 * 1024 * 1024)


class VaultStore:
    """Made by ``create_vault`` and ``open_vault``. Methods may be called from several threads.

    Any number of processes on any number of machines may use one vault at the same time.

    Methods that read stored objects raise ``VaultDataCorrupt`` and ``VaultObjectMissing`` when these are
    damaged or gone, and ``VaultError`` when the storage does not answer.
    """

    def __init__(
        self,
        blobs: BlobStore,
        chunk_size: int,
        presence: Presence | None = None,
        timing: Timing = DEFAULT_TIMING,
    ) -> None:
        self.vault_id = blobs.keys.vault_id
        self.chunk_size = chunk_size
        self._blobs = blobs
        self._presence = presence or Presence.here()
        self._timing = timing
        self._collecting = threading.Lock()

    def manifests(self) -> list[Manifest]:
        """Every recovery point that is not deleted, oldest first."""
        deleted = points.deletions(self._blobs)
        found = [manifest for name, manifest in points.each_manifest(self._blobs) if name not in deleted]
        return sorted(found, key=lambda manifest: (manifest.created, manifest.point_id))

    def deleted_points(self) -> list[DeletedPoint]:
        """Every deleted recovery point that can still be had back, oldest first."""
        deleted = points.deletions(self._blobs)
        found = [
            DeletedPoint(manifest, deleted[name])
            for name, manifest in points.each_manifest(self._blobs)
            if name in deleted
        ]
        return sorted(found, key=lambda point: (point.manifest.created, point.manifest.point_id))

    def manifest(self, point_id: str) -> Manifest:
        """One recovery point, also a deleted one that is still kept. Raises ``NotFound``."""
        return points.find(self._blobs, point_id)[1]

    def delete_point(self, point_id: str, *, now: datetime, until: datetime | None = None) -> None:
        """Delete a recovery point; no error when it is gone already. ``collect`` frees the space.

        Until ``until`` it stays restorable and `undelete_point` brings it back; without it is gone at once.
        Times are aware. Raises ``VaultPointLocked``.
        """
        with self._blobs.storage.use_reserve():
            points.delete(self._blobs, point_id, now=now, until=until or now)

    def undelete_point(self, point_id: str, *, now: datetime) -> None:
        """Take back a deletion. Raises ``NotFound`` when the point is gone or its time is over."""
        points.undelete(self._blobs, point_id, now=now)

    def lock_point(self, point_id: str, until: datetime) -> None:
        """Make a recovery point immutable: nothing here deletes it before ``until``, which can only grow.

        Raises ``NotFound``.
        """
        points.lock(self._blobs, point_id, until)

    def collect(self, *, now: datetime, bytes_per_second: int = 0) -> CollectStats:
        """Remove what no recovery point needs, and points whose days after deletion are over.

        Sessions may go on meanwhile, here and elsewhere. ``bytes_per_second`` bounds the copying of packs
        that are needed in part; 0: no bound. Raises ``VaultCollectionInProgress``, and ``VaultDataCorrupt``
        when a recovery point cannot be read: nothing is removed then.
        """
        with self._collecting, self._blobs.storage.use_reserve():
            return Collection(self._blobs, self._presence, self._timing, bytes_per_second).run(now)

    @contextmanager
    def session(
        self, point_id: str, progress: Progress | None = None, cancelled: CheckCancelled | None = None
    ) -> Iterator[Session]:
        """A session that adds one recovery point.

        ``progress`` is told the bytes read so far, in the calling thread. ``cancelled`` is called often, from
        any thread, and raises (``JobCancelled``) when the work must stop.
        """
        blobs = self._blobs
        name = points.commit_name(blobs, point_id)
        with Announcement(blobs, self._presence, name, self._timing):
            # Only now: a collection that did not see this session has told before what it dooms.
            newest = generations.newest(blobs)
            unreliable = frozenset() if newest is None else newest.unreliable
            blobs.refresh()
            session = Session(blobs, point_id, name, unreliable, self.chunk_size, progress, cancelled)
            try:
                yield session
            finally:
                session.close()

    def restore_disk(
        self,
        disk: DiskMap,
        write: restore.WriteDisk,
        *,
        target: str,
        progress: Progress | None = None,
        cancelled: CheckCancelled | None = None,
    ) -> None:
        """Give every chunk of a disk that is not zero to ``write(offset, data)``.

        ``write`` is called from several threads, in any order, with disjoint ranges; data is verified before.
        Ranges of zeros are not written: the target must read as zeros. ``progress`` is told the bytes
        written so far, in the calling thread; ``cancelled`` as in ``session``.
        """
        restore.restore_disk(self._blobs, disk, write, target, progress, cancelled)

    def data_size(self, disk: DiskMap) -> int:
        """How many bytes ``restore_disk`` will write: those of the chunks that are not zero."""
        return restore.data_size(self._blobs, disk)

    def read_range(self, disk: DiskMap, offset: int, length: int) -> bytes:
        """``length`` verified bytes of a disk from ``offset``. Raises ``ValueError`` outside the disk."""
        return restore.read_range(self._blobs, disk, offset, length)

    def reader(self, disk: DiskMap) -> DiskReader:
        """A reader of large ranges of one disk, for many threads."""
        return DiskReader(self._blobs, disk)

    def changes(self, disk: DiskMap, since: DiskMap | None = None) -> Iterator[Extent]:
        """The ranges in which a disk differs from an earlier map of the same size (null: from zeros).

        Exact to the chunk, ascending, as long as they can be. Raises ``ValueError`` when the sizes differ.
        """
        return difference.changes(self._blobs, disk, since)

    def stats(self, cancelled: CheckCancelled | None = None) -> VaultStats:
        """What the vault holds and what it costs; every page of every map is read, no data.

        Sessions and collections may go on meanwhile. Raises what ``cancelled`` raises, and
        ``VaultDataCorrupt`` when a recovery point cannot be read.
        """
        return vault_stats(self._blobs, cancelled)

    def close(self) -> None:
        """Forget the index; the store must not be used afterwards."""
        self._blobs.index.clear()


def create_vault(
    url: str,
    key: KeySource,
    *,
    vault_id: UUID,
    chunk_size: int = DEFAULT_CHUNK_SIZE,
    random: Random = os.urandom,
    label: str = "",
    created: datetime | None = None,
) -> VaultStore:
    """Make a new vault in an empty or missing directory and open it.

    ``chunk_size`` is a power of two from 4 KiB to 4 MiB and cannot be changed later. ``label`` and
    ``created`` describe the wrap of ``key`` as in ``add_wrap``. Raises ``AlreadyExists`` when the directory
    is not empty; nothing was changed then.
    """
    storage = open_storage(url)
    return create_vault_on(storage, url, key, vault_id, chunk_size, random, label=label, created=created)


def open_vault(url: str, key: KeySource, cache: ReadCache | None = None) -> VaultStore:
    """Open a vault; one in an object store is read through ``cache``.

    Raises ``VaultKeyWrong`` before anything else is read, ``VaultFormatUnsupported``, ``VaultDataCorrupt``,
    and ``VaultError`` when there is no vault.
    """
    return open_vault_on(open_storage(url, cache), url, key)


def create_vault_on(
    storage: Storage,
    url: str,
    key: KeySource,
    vault_id: UUID,
    chunk_size: int = DEFAULT_CHUNK_SIZE,
    random: Random = os.urandom,
    presence: Presence | None = None,
    timing: Timing = DEFAULT_TIMING,
    label: str = "",
    created: datetime | None = None,
) -> VaultStore:
    """``create_vault`` on an open storage; ``url`` is for messages, ``presence`` normally this process."""
    if not _is_chunk_size(chunk_size):
        raise ValueError(f"chunk size {chunk_size} is no power of two from 4 KiB to 4 MiB")
    left = [stored.name for stored in storage.list("")]
    if any(not name.startswith("keys/") for name in left):
        raise _not_empty(url)
    data_key = random(KEY_LENGTH)
    wrap = first_wrap(key, data_key, vault_id, label, created, random)
    storage.put(wrap_name(wrap.wrap.id), [wrap.content])
    keys = VaultKeys(data_key, vault_id)
    config = json.dumps({"chunk_size": chunk_size}).encode()
    try:
        storage.put(CONFIG, [seal_object(keys.new_cipher(ObjectKind.CONFIG, CONFIG, random), config)])
    except AlreadyExists as error:
        storage.delete([wrap_name(wrap.wrap.id)])
        raise _not_empty(url) from error
    # Only now is it sure that these are of creations that died, and not of one that was about to win.
    storage.delete(left)
    return VaultStore(BlobStore(storage, keys, random), chunk_size, presence, timing)


def open_vault_on(
    storage: Storage,
    url: str,
    key: KeySource,
    random: Random = os.urandom,
    presence: Presence | None = None,
    timing: Timing = DEFAULT_TIMING,
) -> VaultStore:
    """``open_vault`` on an open storage; ``url`` is for messages, ``presence`` normally this process."""
    blobs, chunk_size = unlocked(storage, url, key, random)
    blobs.refresh()
    return VaultStore(blobs, chunk_size, presence, timing)


def unlocked(storage: Storage, url: str, key: KeySource, random: Random) -> tuple[BlobStore, int]:
    """A vault without its index, and its chunk size; errors as ``open_vault``."""
    try:
        opened = unlock(storage, key)
    except VaultObjectMissing as error:
        raise VaultError(f"There is no vault at {url}.") from error
    keys = VaultKeys(opened.data_key, opened.stored.wrap.vault)
    return BlobStore(storage, keys, random), _chunk_size(opened.config)


def _chunk_size(config: bytes) -> int:
    """The chunk size that a vault's config tells. Raises ``VaultDataCorrupt``."""
    try:
        chunk_size = json.loads(config)["chunk_size"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise VaultDataCorrupt(f"Vault object {CONFIG} is damaged: {error}") from error
    if type(chunk_size) is not int or not _is_chunk_size(chunk_size):
        raise VaultDataCorrupt(f"Vault object {CONFIG} is damaged: {chunk_size!r} is no chunk size.")
    return chunk_size


def _is_chunk_size(size: int) -> bool:
    return _CHUNK_SIZES[0] <= size <= _CHUNK_SIZES[1] and not size & (size - 1)


def _not_empty(url: str) -> AlreadyExists:
    return AlreadyExists(f"{url} is not empty; give a new directory for the vault.")
