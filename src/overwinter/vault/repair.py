"""Repair: a vault made usable again from what of it is whole, and told exactly what is not.

It needs a key object that opens, and packs. The index is made anew, the config too; packs that do not tell
what they hold are searched frame by frame, and their whole segments stored again. Nothing that could still
be of use is removed, and recovery points only when the caller asks for it.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from overwinter.model.errors import VaultDataCorrupt, VaultError, VaultObjectMissing
from overwinter.vault import control, points
from overwinter.vault.announcements import DEFAULT_TIMING, Timing
from overwinter.vault.blobs import BlobStore
from overwinter.vault.chunking import DEFAULT_CHUNK_SIZE
from overwinter.vault.config import CONFIG, open_config, put_config
from overwinter.vault.damage import DAMAGED, LOST, get_damaged, get_lost
from overwinter.vault.directory import index_records, scan
from overwinter.vault.exclusion import no_collection
from overwinter.vault.index import IndexTable
from overwinter.vault.keys import KeySource, check_key_object, unlock_without_config
from overwinter.vault.manifest import MANIFESTS, open_manifest
from overwinter.vault.pack import pack_id
from overwinter.vault.packing import BlobWriter
from overwinter.vault.presence import Presence
from overwinter.vault.report import VerifyReport
from overwinter.vault.seal import HEADER_LENGTH, BlobKind, ObjectKind, Random, VaultKeys, check_header
from overwinter.vault.storage import Storage, StoredObject, look_first, open_storage
from overwinter.vault.structure import DAMAGES
from overwinter.vault.verify import Verification

#: Opens one small object; raises when it cannot.
_Opens = Callable[[StoredObject], object]

#: The part of the storage's reserve that copies and the new index may use; the rest is for a collection.
_RESERVE_PART = 0.5


@dataclass(frozen=True)
class LostPoint:
    """A recovery point that cannot be restored, or not as a whole disk: its manifest or a map is unreadable.

    ``point_id`` and ``vm_name`` are null when the manifest is. ``removed`` when the caller asked for it.
    """

    object: str
    reason: str
    point_id: str | None = None
    vm_name: str | None = None
    removed: bool = False


@dataclass(frozen=True)
class RepairReport:
    """What was done: ``packs`` and ``blobs`` in the new index, and packs that were ``searched``.

    ``replaced`` are unreadable objects that were removed or written anew, ``left`` those that were not
    touched, each with what to do. ``verified`` says what is damaged now; nothing of packs was read for it.
    """

    packs: int
    blobs: int
    searched: tuple[str, ...]
    replaced: tuple[str, ...]
    left: tuple[str, ...]
    lost_points: tuple[LostPoint, ...]
    verified: VerifyReport


def repair(url: str, key: KeySource, *, now: datetime, remove_lost: bool = False) -> RepairReport:
    """Repair a vault, also one that cannot be opened any more because config, index or marks are damaged.

    Sessions may go on. ``remove_lost`` removes recovery points whose manifest or maps cannot be read, except
    those locked at ``now``. Whoever has the vault open must open it anew.

    Raises ``VaultKeyWrong``, ``VaultFormatUnsupported`` when anything was written by a newer version, and
    ``VaultCollectionInProgress``; nothing was changed then. Raises ``VaultDataCorrupt`` when no key object
    can be read, or the config cannot and nothing else tells the chunk size.
    """
    return repair_on(open_storage(url), url, key, now=now, remove_lost=remove_lost)


def repair_on(
    storage: Storage,
    url: str,
    key: KeySource,
    *,
    now: datetime,
    remove_lost: bool = False,
    random: Random = os.urandom,
    presence: Presence | None = None,
    timing: Timing = DEFAULT_TIMING,
) -> RepairReport:
    """``repair`` on an open storage; ``url`` is for messages, ``presence`` normally this process."""
    blobs = _opened_for_repair(storage, url, key, random)
    return Repair(blobs, presence or Presence.here(), timing).run(now, remove_lost)


def vault_at(url: str, key: KeySource) -> UUID:
    """Id of the vault at ``url``, also of one that is too damaged to be opened.

    Raises ``VaultKeyWrong``, ``VaultError`` when there is no vault, ``VaultDataCorrupt`` as ``repair``.
    """
    look_first(url)
    return _opened_for_repair(open_storage(url), url, key, os.urandom).keys.vault_id


def _opened_for_repair(storage: Storage, url: str, key: KeySource, random: Random) -> BlobStore:
    if not storage.list("keys/"):
        raise VaultError(f"There is no vault at {url}, or its keys are gone: nothing can be read without.")
    return _with_its_keys(storage, unlock_without_config(storage, key), random)


def _with_its_keys(storage: Storage, candidates: list[VaultKeys], random: Random) -> BlobStore:
    """The vault with those keys that something in it was made with; where nothing tells, with the first."""
    first, *others = [BlobStore(storage, keys, random) for keys in candidates]
    for blobs in (first, *others) if others else ():
        try:
            open_config(blobs.keys, storage.get(CONFIG))
        except VaultDataCorrupt:
            if _told_chunk_size(blobs) is None:
                continue
        return blobs
    return first


class Repair:
    """One run, on a vault whose index is not loaded."""

    def __init__(self, blobs: BlobStore, presence: Presence, timing: Timing) -> None:
        self._blobs = blobs
        self._presence = presence
        self._timing = timing
        self._replaced: list[str] = []
        self._left: list[str] = []

    def run(self, now: datetime, remove_lost: bool) -> RepairReport:
        """See `repair`."""
        blobs = self._blobs
        self._refuse_other_versions()
        with blobs.storage.use_reserve(_RESERVE_PART):
            self._mend_config()
            return self._repair(now, remove_lost)

    def _repair(self, now: datetime, remove_lost: bool) -> RepairReport:
        blobs = self._blobs
        with no_collection(blobs, self._presence, self._timing):
            self._mend_marks()
            searched = self._rebuild_index()
            verification = Verification(blobs, None, None, None, searched=[pack for pack, _ in searched])
            verified = verification.whole()
            lost = [
                LostPoint(damage.object, damage.reason)
                for damage in verified.damages
                if damage.object.startswith(MANIFESTS)
            ]
            reason = "pages of its disk maps are lost"
            lost += [
                LostPoint(name, reason, manifest.point_id, manifest.vm_name)
                for name, manifest in verification.broken.items()
            ]
            if remove_lost:
                lost = [self._remove(point, now) for point in lost]
        return RepairReport(
            packs=len(blobs.index.packs()),
            blobs=len(blobs.index),
            searched=tuple(name for _, name in searched),
            replaced=tuple(self._replaced),
            left=tuple(self._left),
            lost_points=tuple(lost),
            verified=verified,
        )

    def _refuse_other_versions(self) -> None:
        """Raise ``VaultFormatUnsupported`` when a config, pack or manifest is of another version."""
        storage = self._blobs.storage
        kinds = {"packs": ObjectKind.PACK, "manifests": ObjectKind.MANIFEST, CONFIG: ObjectKind.CONFIG}
        for stored in storage.list(""):
            kind = kinds.get(stored.name.partition("/")[0])
            if kind is not None and stored.size >= HEADER_LENGTH:
                try:
                    check_header(kind, stored.name, storage.get_range(stored.name, 0, HEADER_LENGTH))
                except VaultDataCorrupt:
                    continue  # damaged, or gone: dealt with later

    def _mend_config(self) -> None:
        storage, keys = self._blobs.storage, self._blobs.keys
        try:
            open_config(keys, storage.get(CONFIG))
        except VaultDataCorrupt as error:
            chunk_size = _told_chunk_size(self._blobs)
            if chunk_size is None:
                raise VaultDataCorrupt(
                    f"{error.message} Nothing in the vault tells its chunk size: it holds no data. "
                    "Make a new vault."
                ) from error
            storage.delete([CONFIG])
            put_config(storage, keys, self._blobs.random, chunk_size)
            self._replaced.append(CONFIG)

    def _mend_marks(self) -> None:
        """Remove small objects that cannot be read, where that loses nothing."""
        blobs = self._blobs
        removable: dict[str, _Opens] = {
            DAMAGED: lambda stored: get_damaged(blobs, stored.name),
            LOST: lambda stored: get_lost(blobs, stored.name),
            "deleted/": lambda stored: control.get(blobs, ObjectKind.MARK, stored.name),  # the point is back
        }
        staying: dict[str, tuple[_Opens, str]] = {
            "keys/": (
                lambda stored: check_key_object(blobs.storage, stored),
                "this key does not open the vault any more",
            ),
            "locks/": (
                lambda stored: control.get(blobs, ObjectKind.MARK, stored.name),
                "its recovery point cannot be deleted; remove the object by hand when it may be",
            ),
            "rules/": (
                lambda stored: control.get(blobs, ObjectKind.MARK, stored.name),
                "no recovery point is deleted while nobody knows the vault's rules; set them anew after "
                "removing the object by hand",
            ),
            "sessions/": (
                lambda stored: control.get(blobs, ObjectKind.SESSION, stored.name),
                "no garbage is collected; remove the object by hand when no backup runs",
            ),
        }
        for prefix, opens in removable.items():
            for name in self._unreadable(prefix, opens):
                blobs.storage.delete([name])
                self._replaced.append(name)
        for prefix, (opens, advice) in staying.items():
            self._left += [f"{name}: {advice}" for name in self._unreadable(prefix, opens)]

    def _unreadable(self, prefix: str, opens: _Opens) -> list[str]:
        found = []
        for stored in self._blobs.storage.list(prefix):
            try:
                opens(stored)
            except VaultObjectMissing:
                continue
            except DAMAGES:
                found.append(stored.name)
        return found

    def _rebuild_index(self) -> list[tuple[bytes, str]]:
        """Write the index anew from the packs; gives those that had to be searched.

        Records of segments that are known to be damaged are left out.
        """
        blobs = self._blobs
        old = [stored.name for stored in blobs.storage.list("index/")]
        blobs.take_in_damage()
        searched = []
        for stored in blobs.storage.list("packs/"):
            pack = pack_id(stored.name)
            if pack is None:
                continue  # verification tells
            try:
                blobs.index.add(IndexTable.of(index_records(blobs, stored)))
            except VaultObjectMissing:
                continue
            except VaultDataCorrupt:
                searched.append((pack, stored.name))
        writer = BlobWriter(blobs)
        try:
            for _, name in searched:
                for found in scan(blobs, name):
                    opened = found.opened
                    if any(writer.claim([blob.id for blob in found.blobs])):
                        writer.add(opened.kind, found.blobs, opened.encoding, opened.content)
            writer.finish()
        finally:
            writer.close()
        blobs.rewrite_index()
        blobs.storage.delete(old)
        return searched

    def _remove(self, point: LostPoint, now: datetime) -> LostPoint:
        """Remove a lost point, unless it is locked."""
        blobs = self._blobs
        try:
            until = points.locked_until(blobs, point.object)
        except DAMAGES:
            return point
        if until is not None and until > now:
            return point
        points.purge(blobs, point.object)
        if point.point_id is None:
            # It may have kept a dead writer from committing.
            control.put(blobs, ObjectKind.TOMBSTONE, point.object, {})
        return LostPoint(point.object, point.reason, point.point_id, point.vm_name, removed=True)


def _told_chunk_size(blobs: BlobStore) -> int | None:
    """The chunk size that a manifest tells; any would do for chunks that no readable manifest needs."""
    for stored in blobs.storage.list(MANIFESTS):
        try:
            manifest = open_manifest(blobs.keys, stored.name, blobs.storage.get(stored.name))
        except VaultDataCorrupt:
            continue
        for disk in () if manifest is None else manifest.disks:
            return disk.map.chunk_size
    for stored in blobs.storage.list("packs/"):
        for found in scan(blobs, stored.name):
            if found.opened.kind is BlobKind.CHUNK:
                return DEFAULT_CHUNK_SIZE
    return None
