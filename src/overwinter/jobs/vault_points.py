"""What a vault holds and what the catalog says it holds, made equal again.

A vault can be read without the catalog; the catalog shows what is there and remembers what is not in a vault.
So after a vault was attached, copied into or repaired, the catalog follows the vault, never the other way.
"""

import threading
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID, uuid4

from overwinter.catalog import items, points, policies
from overwinter.catalog.database import Transaction
from overwinter.jobs.runtime import Runtime
from overwinter.jobs.transferred import Transferred
from overwinter.model import names
from overwinter.model.errors import NotFound, VaultDataCorrupt
from overwinter.model.job import JobError
from overwinter.model.point import RecoveryPoint
from overwinter.model.policy import DEFAULT_POLICY
from overwinter.model.protection import ProtectedItem, ProtectionState, Vault
from overwinter.vault import Manifest, VaultStore

#: Two at once would both add what both lack.
_one_at_a_time = threading.Lock()


@dataclass(frozen=True)
class TakenIn:
    """How many recovery points, of how many VMs, the catalog did not know; and what could not be taken in."""

    points: int = 0
    vms: int = 0
    problems: tuple[str, ...] = ()


def take_in(runtime: Runtime, vault: Vault, store: VaultStore) -> TakenIn:
    """Enter every recovery point of a vault that the catalog lacks, also deleted ones. Nothing known changes.

    A VM that the catalog does not have in this vault becomes an item whose protection is stopped: its points
    can be restored, and backups start when somebody protects it.
    """
    manifests, problems = store.readable_manifests()
    deleted = {each.manifest.point_id: each for each in store.readable_deleted_points()}
    manifests = manifests + [each.manifest for each in deleted.values()]
    with _one_at_a_time, runtime.catalog.transaction() as tx:
        known = _known(tx, vault)
        new = [manifest for manifest in manifests if manifest.point_id not in known]
        for manifest in new:
            kept = deleted.get(manifest.point_id)
            _enter(tx, runtime, vault, manifest, None if kept is None else kept.until)
        for vm_uuid in {manifest.vm_uuid for manifest in new}:
            for item in _items_of(tx, vault, vm_uuid):
                _see_deletion_as_a_whole(tx, item)
    return TakenIn(len(new), len({manifest.vm_uuid for manifest in new}), tuple(problems))


def withdraw_gone(runtime: Runtime, vault: Vault, store: VaultStore) -> tuple[JobError, ...]:
    """No longer offer recovery points that the vault does not have any more; tells of each, and of damaged.

    One that is still in the snapshot tier stays with that.
    """
    with runtime.catalog.transaction() as tx:
        vms = {item.id: item.vm_name for item in items.every(tx, vault.id)}
        known = points.recovery_points_in(tx, vault.id)
    problems = []
    for point in known:
        if point.manifest is None:
            continue
        which = f"Recovery point {point.id} of {vms[point.item_id]}, {point.created:%Y-%m-%d %H:%M} UTC,"
        try:
            store.manifest(point.manifest)
        except NotFound:
            _withdraw(runtime, point)
            problems.append(JobError(NotFound.code, f"{which} is not in the vault any more."))
        except VaultDataCorrupt as error:
            problems.append(JobError(error.code, f"{which} cannot be restored: {error.message}"))
    return tuple(problems)


def _withdraw(runtime: Runtime, point: RecoveryPoint) -> None:
    with runtime.catalog.transaction() as tx:
        if point.restore_point is None:
            points.delete_recovery_point(tx, point)
        else:
            points.put_recovery_point(tx, replace(point, manifest=None))


def _known(tx: Transaction, vault: Vault) -> set[str]:
    """Names in the vault of the points that the catalog has, or that a backup is about to enter."""
    return {str(point.manifest or point.restore_point) for point in points.recovery_points_in(tx, vault.id)}


def _items_of(tx: Transaction, vault: Vault, vm_uuid: UUID) -> list[ProtectedItem]:
    return [item for item in items.of_machine(tx, vm_uuid) if item.vault_id == vault.id]


def _enter(
    tx: Transaction, runtime: Runtime, vault: Vault, manifest: Manifest, deleted_until: datetime | None
) -> None:
    existing = _items_of(tx, vault, manifest.vm_uuid)
    item = existing[0] if existing else _new_item(tx, runtime, vault, manifest)
    if item.last_recovery_point is None or item.last_recovery_point < manifest.created:
        item = replace(item, last_recovery_point=manifest.created)
    items.put(tx, item)
    done = Transferred.of(manifest)
    points.put_recovery_point(
        tx,
        RecoveryPoint(
            id=points.free_recovery_point_id(tx, names.recovery_point_id(manifest.created)),
            item_id=item.id,
            created=manifest.created,
            consistency=manifest.consistency,
            expires=manifest.expires,
            restore_point=None,
            manifest=manifest.point_id,
            bytes_read=done.bytes_read,
            bytes_stored=done.bytes_stored,
            incremental=done.incremental,
            deleted_until=deleted_until,
        ),
    )


def _see_deletion_as_a_whole(tx: Transaction, item: ProtectedItem) -> None:
    """An item whose points are all deleted was itself deleted: the newest point never is alone."""
    found = points.recovery_points_of(tx, item.id)
    dates = [point.deleted_until for point in found if point.deleted_until is not None]
    if item.is_active or item.is_deleted or len(dates) < len(found):
        return
    items.put(tx, replace(item, deleted_until=max(dates)))
    for point in found:
        points.put_recovery_point(tx, replace(point, deleted_until=None))


def _new_item(tx: Transaction, runtime: Runtime, vault: Vault, manifest: Manifest) -> ProtectedItem:
    return ProtectedItem(
        id=uuid4(),
        vault_id=vault.id,
        policy_id=policies.get(tx, vault.id, DEFAULT_POLICY).id,
        vm_uuid=manifest.vm_uuid,
        vm_name=items.free_name(tx, vault.id, manifest.vm_name, manifest.vm_uuid),
        resource_group=names.DEFAULT_RESOURCE_GROUP,
        state=ProtectionState.STOPPED,
        created=runtime.clock(),
    )
