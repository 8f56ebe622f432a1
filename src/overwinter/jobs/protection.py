"""A VM enters protection (ConfigureBackup) and leaves it (DisableBackup, DeleteBackupData).

Leaving gives the VM its original disk files back: all restore points go, all overlays merge into the
originals. With ``delete data`` the vault's recovery points go too; else they stay restorable.
"""

from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

from overwinter.catalog import items, points, tracks, vaults
from overwinter.catalog import jobs as job_table
from overwinter.hypervisor import inventory
from overwinter.jobs import prune
from overwinter.jobs.runtime import Runtime
from overwinter.model.errors import NotFound
from overwinter.model.job import JobError
from overwinter.model.protection import ProtectedItem, ProtectionState


def _item(runtime: Runtime, job_id: UUID) -> ProtectedItem | None:
    with runtime.catalog.transaction() as tx:
        job = job_table.get(tx, job_id)
        return None if job.item_id is None else items.find_by_id(tx, job.item_id)


def stop(runtime: Runtime, job_id: UUID, check: Callable[[], None]) -> tuple[JobError, ...]:
    """Stop protection: no more backups, the VM's chain flat again. Returns warnings about what that cost."""
    item = _item(runtime, job_id)
    if item is None:
        return ()
    warnings: list[JobError] = []
    with runtime.catalog.transaction() as tx:
        items.put(tx, replace(item, state=ProtectionState.STOPPED))
        for lost in [p for p in points.recovery_points_of(tx, item.id) if p.manifest is None]:
            message = (
                f"Recovery point {lost.id} of {lost.created:%Y-%m-%d %H:%M} UTC was never transferred to the "
                "vault; it went with the VM's snapshots."
            )
            warnings.append(JobError("RecoveryPointSnapshotOnly", message))
        for point in points.restore_points_of(tx, item.vm_uuid):
            points.delete_restore_point(tx, point.id)
        tracks.delete(tx, item.id)
    try:
        inventory.machine(runtime.hypervisor, item.vm_uuid)
    except NotFound:
        message = f"{item.vm_name} does not exist any more, so there were no disks to put back."
        return (*warnings, JobError(NotFound.code, message))
    prune.merge_unneeded(runtime, item, check)
    return tuple(warnings)


def delete_data(runtime: Runtime, job_id: UUID, check: Callable[[], None]) -> None:
    """Delete the item's recovery points from the vault, free their space, forget the item.

    Manifests go first (the points end there), then the data nothing refers to, then the catalog's rows; each
    part may run again.
    """
    item = _item(runtime, job_id)
    if item is None:
        return
    with runtime.catalog.transaction() as tx:
        vault = vaults.get_by_id(tx, item.vault_id)
        recovery_points = points.recovery_points_of(tx, item.id)
    store = runtime.vaults.open(vault)
    for point in recovery_points:
        check()
        if point.manifest is not None:
            store.delete_manifest(point.manifest)
    store.collect()
    with runtime.catalog.transaction() as tx:
        job_table.set_properties(tx, job_id, {"recovery_points": len(recovery_points)})
        items.delete(tx, item.id)
