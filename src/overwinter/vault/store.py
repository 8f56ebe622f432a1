"""One open vault: recovery points, sessions that add them, restores, deletion and collection."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from uuid import UUID

from overwinter.model.errors import AlreadyExists, VaultObjectMissing
from overwinter.model.extent import Extent
from overwinter.model.vault_rules import VaultRules
from overwinter.vault import difference, generations, points, restore, rules, survey
from overwinter.vault.announcements import DEFAULT_TIMING, Announcement, Timing, end_predecessors
from overwinter.vault.batch import CheckCancelled, ReadDisk
from overwinter.vault.blobs import BlobStore
from overwinter.vault.chunking import DEFAULT_CHUNK_SIZE, is_chunk_size
from overwinter.vault.collect import Collection, CollectStats
from overwinter.vault.config import check_there, missing, put_config
from overwinter.vault.diskmap import DiskMap
from overwinter.vault.heal import MapCutter
from overwinter.vault.keys import KeySource, first_wrap, unlock, wrap_name
from overwinter.vault.manifest import Manifest
from overwinter.vault.points import DeletedPoint
from overwinter.vault.presence import Presence
from overwinter.vault.reader import DiskReader
from overwinter.vault.repair import Repair, RepairReport
from overwinter.vault.report import VerifyReport
from overwinter.vault.seal import KEY_LENGTH, Random, VaultKeys
from overwinter.vault.session import Progress, Session
from overwinter.vault.stats import VaultStats, vault_stats
from overwinter.vault.storage import ReadCache, Storage, look_first, open_storage, uncached
from overwinter.vault.verify import Verification, chosen_part


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

    def readable_manifests(self) -> tuple[list[Manifest], list[str]]:
        """As ``manifests``, but damaged ones do not hide the others: it is said what is wrong with them."""
        deleted = points.deletions(self._blobs)
        found, unreadable = points.readable(self._blobs)
        kept = [manifest for name, manifest in found.items() if name not in deleted]
        return sorted(kept, key=lambda each: (each.created, each.point_id)), sorted(unreadable.values())

    def deleted_points(self) -> list[DeletedPoint]:
        """Every deleted recovery point that can still be had back, oldest first."""
        deleted = points.deletions(self._blobs)
        found = [
            DeletedPoint(manifest, deleted[name])
            for name, manifest in points.each_manifest(self._blobs)
            if name in deleted
        ]
        return sorted(found, key=lambda point: (point.manifest.created, point.manifest.point_id))

    def readable_deleted_points(self) -> list[DeletedPoint]:
        """As ``deleted_points``, in any order, without those whose manifests are damaged."""
        deleted = points.deletions(self._blobs)
        found = points.readable(self._blobs)[0]
        return [DeletedPoint(manifest, deleted[name]) for name, manifest in found.items() if name in deleted]

    def manifest(self, point_id: str) -> Manifest:
        """One recovery point, also a deleted one that is still kept. Raises ``NotFound``."""
        return points.find(self._blobs, point_id)[1]

    def rules(self) -> VaultRules | None:
        """What the vault forbids; null for one that never got rules and forbids nothing."""
        return rules.current(self._blobs)

    def set_rules(self, new: VaultRules) -> None:
        """Change what the vault forbids. Raises ``VaultSettingIrreversible``, ``RequestError``."""
        rules.change(self._blobs, new)

    def delete_point(self, point_id: str, *, now: datetime, until: datetime | None = None) -> datetime | None:
        """Delete a recovery point; no error when it is gone already. ``collect`` frees the space.

        Until ``until`` it stays restorable and `undelete_point` brings it back; without it is gone at once,
        unless the vault's rules keep it. Gives until when it is kept, null when it is gone. Times are aware.
        Raises ``VaultPointLocked``, ``VaultImmutable``.
        """
        with self._blobs.storage.use_reserve():
            return points.delete(self._blobs, point_id, now=now, until=until or now, rules=self.rules())

    def undelete_point(self, point_id: str, *, now: datetime) -> None:
        """Take back a deletion. Raises ``NotFound`` when the point is gone or its time is over."""
        points.undelete(self._blobs, point_id, now=now)

    def lock_point(self, point_id: str, until: datetime) -> None:
        """Make a recovery point immutable: nothing here deletes it before ``until``, which can only grow.

        Raises ``NotFound``.
        """
        points.lock(self._blobs, point_id, until)

    def locked_points(self) -> dict[str, datetime]:
        """Until when points are or were locked, by their ids."""
        locks = points.locks(self._blobs)
        found = points.readable(self._blobs)[0]
        return {manifest.point_id: locks[name] for name, manifest in found.items() if name in locks}

    def packed_bytes(self) -> int:
        """Bytes of all packs: what a verification of everything reads at most."""
        return sum(stored.size for stored in self._blobs.storage.list("packs/"))

    def collect(
        self, *, now: datetime, bytes_per_second: int = 0, cancelled: CheckCancelled | None = None
    ) -> CollectStats:
        """Remove what no recovery point needs, and points whose days after deletion are over.

        Sessions may go on meanwhile, here and elsewhere. ``bytes_per_second`` bounds the copying of packs
        that are needed in part; 0: no bound. ``cancelled`` may raise to stop as long as nothing is decided.
        Raises ``VaultCollectionInProgress``, and ``VaultDataCorrupt``
        when a recovery point cannot be read: nothing is removed then.
        """
        with self._collecting, self._blobs.storage.use_reserve():
            return Collection(self._blobs, self._presence, self._timing, bytes_per_second, cancelled).run(now)

    def verify(
        self,
        *,
        read_percent: float = 0,
        turn: int | None = None,
        point_id: str | None = None,
        progress: Progress | None = None,
        cancelled: CheckCancelled | None = None,
    ) -> VerifyReport:
        """Find out whether all, or what one recovery point needs, is there and whole.

        Every object is opened and every map walked. ``read_percent`` of the stored segments are read and
        compared with their hashes: another part with every number ``turn``, so that counting it up reaches
        all; a random one without. Damage is remembered in the vault, and the next backup of a disk reads
        again what it touches. ``progress`` is told the bytes read so far, in the calling thread;
        ``cancelled`` as in ``session``.

        Raises ``NotFound`` for an unknown point. Damage is reported, not raised, unless it is in the index
        and this vault was opened through a cache: ``VaultDataCorrupt``.
        """
        begin = int.from_bytes(self._blobs.random(8), "big") / (1 << 64)
        if turn is not None:
            begin = turn * read_percent / 100 % 1
        chosen = chosen_part(read_percent, begin) if read_percent > 0 else None
        blobs = self._past_cache()
        verification = Verification(blobs, chosen, progress, cancelled)
        with blobs.storage.use_reserve():  # what is remembered of damage is small
            report = verification.whole() if point_id is None else verification.point(point_id)
        self._blobs.refresh()
        return report

    def repair(self, *, now: datetime, remove_lost: bool = False) -> RepairReport:
        """Make the index anew from the packs, and tell what is lost; as `repair.repair`."""
        blobs = BlobStore(uncached(self._blobs.storage), self._blobs.keys, self._blobs.random)
        report = Repair(blobs, self._presence, self._timing).run(now, remove_lost)
        self._blobs.reload()
        return report

    def _past_cache(self) -> BlobStore:
        """The blobs as they really lie there; a cache would hide damage. It has an index of its own then."""
        storage = uncached(self._blobs.storage)
        if storage is self._blobs.storage:
            return self._blobs
        return BlobStore(storage, self._blobs.keys, self._blobs.random)

    @contextmanager
    def session(
        self, point_id: str, progress: Progress | None = None, cancelled: CheckCancelled | None = None
    ) -> Iterator[Session]:
        """A session that adds one recovery point.

        ``progress`` is told the bytes read so far, in the calling thread. ``cancelled`` is called often, from
        any thread, and raises (``JobCancelled``) when the work must stop. Nothing is written, and
        ``VaultError`` raised, when the vault is not there any more.
        """
        blobs = self._blobs
        check_there(uncached(blobs.storage), blobs.keys)
        end_predecessors(blobs, points.commit_name(blobs, point_id))
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

    def heal_disk(
        self, disk: DiskMap, read: ReadDisk, *, target: str, cancelled: CheckCancelled | None = None
    ) -> None:
        """Store anew what ``damaged_extents`` tells of a disk of a point, for all points that share it.

        ``read``, as in ``Session.store_disk``, must give what the disk held then: where it gives something
        else, or where pages of the map are lost that nobody can make again, the damage stays. No point is
        added. ``cancelled`` as in ``session``, and raises as that does.
        """
        with self.session(self._blobs.random(16).hex(), cancelled=cancelled) as session:
            session.store_disk(target, disk.size, (), read, disk, MapCutter(self._blobs, disk))
            session.flush()

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

    def damaged_extents(self, disk: DiskMap) -> list[Extent]:
        """The ranges of a disk that were found damaged and have not been stored anew since."""
        self._blobs.refresh()
        return list(survey.extents(survey.lost_parts(self._blobs, disk), disk))

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

    ``chunk_size`` is that of the shortest chunks, a power of two from 4 to 256 KiB that cannot be changed.
    ``label`` and ``created`` describe the wrap of ``key`` as in ``add_wrap``. Raises ``AlreadyExists`` when
    the directory is not empty; nothing was changed then.
    """
    look_first(url)
    storage = open_storage(url)
    return create_vault_on(storage, url, key, vault_id, chunk_size, random, label=label, created=created)


def open_vault(url: str, key: KeySource, cache: ReadCache | None = None) -> VaultStore:
    """Open a vault; one in an object store is read through ``cache``.

    Raises ``VaultKeyWrong`` before anything else is read, ``VaultFormatUnsupported``, ``VaultDataCorrupt``,
    ``VaultObjectMissing`` when its config is lost, and ``VaultError`` when there is no vault.
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
    if not is_chunk_size(chunk_size):
        raise ValueError(f"chunk size {chunk_size} is no power of two from 4 to 256 KiB")
    left = [stored.name for stored in storage.list("")]
    if any(not name.startswith("keys/") for name in left):
        raise _not_empty(url)
    data_key = random(KEY_LENGTH)
    wrap = first_wrap(key, data_key, vault_id, label, created, random)
    storage.put(wrap_name(wrap.wrap.id), [wrap.content])
    keys = VaultKeys(data_key, vault_id)
    try:
        put_config(storage, keys, random, chunk_size)
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
        raise missing(storage, url) from error
    keys = VaultKeys(opened.data_key, opened.stored.wrap.vault)
    return BlobStore(storage, keys, random), opened.chunk_size


def _not_empty(url: str) -> AlreadyExists:
    return AlreadyExists(f"{url} is not empty; give a new directory for the vault.")
