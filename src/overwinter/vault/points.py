"""Recovery points in the vault: finding their manifests, and how long each stays.

A point is live, or deleted but kept for some days (soft delete), or gone. A locked point cannot be deleted
before its date. Deletions and locks are small objects beside the manifest; dates are compared with the time
the caller gives.
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
)
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


def delete(blobs: BlobStore, point_id: str, *, now: datetime, until: datetime) -> None:
    """Delete a recovery point: it can be had back until ``until``; at once when that is not after ``now``.

    No error when it is gone already, or deleted. Raises ``VaultPointLocked``.
    """
    try:
        name, _ = find(blobs, point_id)
    except NotFound:
        return
    locked = locked_until(blobs, name)
    if locked is not None and locked > now:
        raise VaultPointLocked(
            f"Recovery point {point_id} is locked until {locked.isoformat()}; it was not deleted."
        )
    if until <= now:
        purge(blobs, name)
        return
    with suppress(AlreadyExists):
        control.put(blobs, ObjectKind.MARK, _beside(_DELETED, name), _until(until))


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
    """Remove every deleted point whose time is over; gives their number."""
    expired = [name for name, until in deletions(blobs).items() if until <= now]
    for name in expired:
        purge(blobs, name)
    return len(expired)


def lock(blobs: BlobStore, point_id: str, until: datetime) -> None:
    """Make a recovery point immutable until a time. A lock can be made longer, never shorter.

    Raises ``NotFound``; also for a deleted point, which must be taken back first.
    """
    name, _ = find(blobs, point_id)
    if name in deletions(blobs):
        raise NotFound(f"Recovery point {point_id} is deleted; take it back before it is locked.")
    control.put(blobs, ObjectKind.MARK, f"{_beside(_LOCKS, name)}-{blobs.random(8).hex()}", _until(until))


def locked_until(blobs: BlobStore, name: str) -> datetime | None:
    """Until when the point with this manifest is locked; null when it never was."""
    locks = [_time(control.get(blobs, ObjectKind.MARK, found)) for found in _locks(blobs, name)]
    return max(locks, default=None)


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
    try:
        return datetime.fromisoformat(control.text(value, "until"))
    except ValueError as error:
        raise VaultDataCorrupt(f"A mark of the vault is damaged: {error}") from error
