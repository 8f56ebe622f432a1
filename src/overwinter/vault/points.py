"""Recovery points in the vault: finding their manifests, and how long each stays.

A point is live, or deleted but kept for some days (soft delete), or gone. A locked point cannot be deleted
before its date. Deletions and locks are small objects beside the manifest; dates are compared with the time
the caller gives. Where a vault has rules, no caller can delete sooner than they allow.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count

from overwinter.model.errors import (
    AlreadyExists,
    NotFound,
    VaultDataCorrupt,
    VaultObjectMissing,
    VaultPointLocked,
    VaultStorageFull,
)
from overwinter.model.vault_rules import VaultRules
from overwinter.vault import control
from overwinter.vault.blobs import BlobStore
from overwinter.vault.manifest import MANIFESTS, Manifest, manifest_object, open_manifest
from overwinter.vault.seal import ObjectKind

_DELETED = "deleted/"
_LOCKS = "locks/"


@dataclass(frozen=True)
class DeletedPoint:
    """A recovery point that was deleted and can be had back until a time."""

    manifest: Manifest
    until: datetime


def each_manifest(blobs: BlobStore) -> Iterator[tuple[str, Manifest]]:
    """Every recovery point whose manifest is there, deleted or not, with its object's name."""
    for stored in blobs.storage.list(MANIFESTS):
        with suppress(VaultObjectMissing):  # removed since the listing
            manifest = _read(blobs, stored.name)
            if manifest is not None:
                yield stored.name, manifest


def each_readable(blobs: BlobStore) -> Iterator[tuple[str, Manifest]]:
    """The same, passing over manifests that are damaged, for those whom other points do not concern."""
    for stored in blobs.storage.list(MANIFESTS):
        with suppress(VaultDataCorrupt):  # or missing: removed since the listing
            manifest = _read(blobs, stored.name)
            if manifest is not None:
                yield stored.name, manifest


def readable(blobs: BlobStore) -> tuple[dict[str, Manifest], dict[str, str]]:
    """Manifests by their objects' names, and why others cannot be read."""
    found, unreadable = {}, {}
    for stored in blobs.storage.list(MANIFESTS):
        try:
            manifest = _read(blobs, stored.name)
        except VaultObjectMissing:  # removed since the listing
            continue
        except VaultDataCorrupt as error:
            unreadable[stored.name] = error.message
            continue
        if manifest is not None:
            found[stored.name] = manifest
    return found, unreadable


def find(blobs: BlobStore, point_id: str) -> tuple[str, Manifest]:
    """A recovery point's object and manifest. Raises ``NotFound``."""
    for attempt in count():
        name = manifest_object(blobs.keys, point_id, attempt)
        try:
            manifest = _read(blobs, name)
        except VaultObjectMissing as error:
            raise NotFound(f"The vault has no recovery point {point_id}.") from error
        if manifest is not None:
            return name, manifest
    raise AssertionError("unreachable")


def is_there(blobs: BlobStore, name: str) -> bool:
    """Whether a recovery point still has the manifest ``name``, readable or not.

    In its place there may be a tombstone, which keeps a dead writer from committing.
    """
    try:
        return _read(blobs, name) is not None
    except VaultObjectMissing:
        return False
    except VaultDataCorrupt:
        return True


def commit_name(blobs: BlobStore, point_id: str) -> str:
    """The object a recovery point is committed as: the first name that no dead writer was kept from."""
    for attempt in count():
        name = manifest_object(blobs.keys, point_id, attempt)
        try:
            if _read(blobs, name) is not None:
                return name
        except VaultObjectMissing:
            return name
    raise AssertionError("unreachable")


def deletions(blobs: BlobStore) -> dict[str, datetime]:
    """For each deleted point that is still kept: its manifest's object and until when."""
    found = {}
    for stored in blobs.storage.list(_DELETED):
        with suppress(VaultObjectMissing):
            value = control.get(blobs, ObjectKind.MARK, stored.name)
            found[MANIFESTS + stored.name.removeprefix(_DELETED)] = _time(value)
    return found


def delete(
    blobs: BlobStore, point_id: str, *, now: datetime, until: datetime, rules: VaultRules | None = None
) -> datetime | None:
    """Delete a recovery point: it can be had back until ``until``; at once when that is not after ``now``.

    Gives until when it is kept, null when it is gone. With ``rules`` a point is kept at least as long as they
    want, and one that is deleted already goes at its date, not before. No error when it is gone already, or
    deleted. Raises ``VaultPointLocked``, ``VaultImmutable``.
    """
    try:
        name, manifest = find(blobs, point_id)
    except NotFound:
        return None
    _refuse_locked(blobs, point_id, name, now)
    mark = _beside(_DELETED, name)
    if rules is not None:
        until = _mark_date(blobs, mark) or _by_rules(rules, manifest, now, until)
    try:
        control.put(blobs, ObjectKind.MARK, mark, _until(until))
    except AlreadyExists:
        if rules is not None:
            until = _mark_date(blobs, mark) or until
    except VaultStorageFull:
        if until > now:
            raise
        # Where a mark finds no room, nobody puts a lock now.
    else:
        try:
            _refuse_locked(blobs, point_id, name, now)  # now that who locks it sees the mark
        except VaultPointLocked:
            blobs.storage.delete([mark])
            raise
    if until > now:
        return until
    purge(blobs, name)
    return None


def _by_rules(rules: VaultRules, manifest: Manifest, now: datetime, until: datetime) -> datetime:
    """When a point goes that is deleted now, and that somebody wants to go at ``until``.

    One that expires as was promised when it was made goes at once; everything else is a deletion.
    """
    if manifest.expires is not None:
        if manifest.expires <= now:
            return until
        rules.refuse_deletion(f"Recovery point {manifest.point_id}", manifest.expires, now)
    return max(until, rules.kept_until(now))


def _mark_date(blobs: BlobStore, mark: str) -> datetime | None:
    try:
        return _time(control.get(blobs, ObjectKind.MARK, mark))
    except VaultObjectMissing:
        return None


def _refuse_locked(blobs: BlobStore, point_id: str, name: str, now: datetime) -> None:
    locked = locked_until(blobs, name)
    if locked is not None and locked > now:
        raise VaultPointLocked(
            f"Recovery point {point_id} is locked until {locked.isoformat()}; it was not deleted."
        )


def undelete(blobs: BlobStore, point_id: str, *, now: datetime) -> None:
    """Take back a deletion. Raises ``NotFound`` when the point is gone or its time is over."""
    name, _ = find(blobs, point_id)
    until = deletions(blobs).get(name)
    if until is None:
        return
    if until <= now:
        raise NotFound(f"Recovery point {point_id} could be had back until {until.isoformat()} only.")
    blobs.storage.delete([_beside(_DELETED, name)])


def purge(blobs: BlobStore, name: str) -> None:
    """Remove a manifest for good, then what lies beside it."""
    blobs.storage.delete([name])
    blobs.storage.delete([_beside(_DELETED, name), *_locks(blobs, name)])


def purge_expired(blobs: BlobStore, now: datetime) -> int:
    """Remove every deleted point whose time is over; gives their number.

    A locked one stays: who wanted to delete it died before it saw the lock.
    """
    purged = 0
    for name, until in deletions(blobs).items():
        locked = locked_until(blobs, name) if until <= now else None
        if until <= now and (locked is None or locked <= now):
            purge(blobs, name)
            purged += 1
    return purged


def lock(blobs: BlobStore, point_id: str, until: datetime) -> None:
    """Make a recovery point immutable until a time. A lock can be made longer, never shorter.

    Raises ``NotFound``; also for a deleted point, which must be taken back first.
    """
    name = _find_undeleted(blobs, point_id)
    own = f"{_beside(_LOCKS, name)}-{blobs.random(8).hex()}"
    control.put(blobs, ObjectKind.MARK, own, _until(until))
    try:
        _find_undeleted(blobs, point_id)  # now that who deletes it sees the lock
    except NotFound:
        blobs.storage.delete([own])
        raise


def _find_undeleted(blobs: BlobStore, point_id: str) -> str:
    deleted = deletions(blobs)  # before the manifest: a mark goes after it
    name, _ = find(blobs, point_id)
    if name in deleted:
        raise NotFound(f"Recovery point {point_id} is deleted; take it back before it is locked.")
    return name


def locked_until(blobs: BlobStore, name: str) -> datetime | None:
    """Until when the point with this manifest is locked; null when it never was."""
    locks = [_time(control.get(blobs, ObjectKind.MARK, found)) for found in _locks(blobs, name)]
    return max(locks, default=None)


def locks(blobs: BlobStore) -> dict[str, datetime]:
    """For each point that was ever locked: its manifest's object and until when."""
    found: dict[str, datetime] = {}
    for stored in blobs.storage.list(_LOCKS):
        with suppress(VaultObjectMissing):
            name = MANIFESTS + stored.name.removeprefix(_LOCKS).rpartition("-")[0]
            until = _time(control.get(blobs, ObjectKind.MARK, stored.name))
            found[name] = max(until, found.get(name, until))
    return found


def _locks(blobs: BlobStore, name: str) -> list[str]:
    beside = _beside(_LOCKS, name)
    return [stored.name for stored in blobs.storage.list(_LOCKS) if stored.name.startswith(beside)]


def _read(blobs: BlobStore, name: str) -> Manifest | None:
    return open_manifest(blobs.keys, name, blobs.storage.get(name))


def _beside(place: str, manifest: str) -> str:
    return place + manifest.removeprefix(MANIFESTS)


def _until(time: datetime) -> dict[str, object]:
    return {"until": time.astimezone(UTC).isoformat()}


def _time(value: dict[str, object]) -> datetime:
    text = control.text(value, "until")
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise VaultDataCorrupt(f"A mark of the vault is damaged: {error}") from error
    if time.tzinfo is None:
        raise VaultDataCorrupt(f"A mark of the vault is damaged: {text} says no zone.")
    return time
