"""A VM leaves protection (DisableBackup, and the first part of DeleteBackupData).

Leaving gives the VM its original disk files back: all restore points go, all overlays merge into the
originals, whatever becomes of the recovery points in the vault (``deletion``).
"""

from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

from overwinter.catalog import items, merges, points, tracks
from overwinter.catalog import jobs as job_table
from overwinter.hypervisor import inventory
from overwinter.hypervisor.limits import MergeLimits
from overwinter.hypervisor.merge import flatten
from overwinter.jobs import faults, locking, merging, shield
from overwinter.jobs.runtime import Runtime
from overwinter.model.errors import NotFound
from overwinter.model.job import JobError
from overwinter.model.lock import Access
from overwinter.model.names import is_overlay
from overwinter.model.point import RestorePoint
from overwinter.model.protection import ProtectionState
from overwinter.model.vm import Disk, VirtualMachine

#: Property of a job: how far the disks are.
_BEGUN = "disks"

#: Parameter of a job: the state in which it leaves the item.
STATE = "state"


def only_on_host(runtime: Runtime, job_id: UUID) -> tuple[UUID, ...]:
    """The restore points of the job's item whose recovery points no vault holds, oldest first."""
    with runtime.catalog.transaction() as tx:
        item_id = job_table.get(tx, job_id).item_id
        found = [] if item_id is None else points.recovery_points_of(tx, item_id)
    held = (point.restore_point for point in found if point.manifest is None)
    return tuple(restore_point for restore_point in held if restore_point is not None)


def stop(runtime: Runtime, job_id: UUID, check: Callable[[], None]) -> tuple[JobError, ...]:
    """Stop protection: no more backups, the VM's chain flat again. Returns warnings about what that cost.

    Raises ScopeLocked, with nothing changed, when a lock holds the restore points.
    Recovery points that no vault holds go with them: bring them there before (`only_on_host`).
    The restore points are no longer offered from the beginning on, because their chains are about to change;
    their rows go last, because they name the overlays: a run after a crash finds and removes them all.

    The chain of a VM that is protected in another vault by now belongs to that protection and is left alone.
    """
    check()
    with runtime.catalog.transaction() as tx:
        job = job_table.get(tx, job_id)
        item = None if job.item_id is None else items.find_by_id(tx, job.item_id)
        if item is None:
            return ()
        elsewhere = [each for each in items.of_machine(tx, item.vm_uuid) if each.id != item.id]
        is_left_alone = any(each.is_active for each in elsewhere)
        if not is_left_alone and _BEGUN not in job.properties:
            # Begun is begun: a lock that comes later finds chains that are half flat.
            locking.refuse_for_machine(tx, item.vm_uuid, Access.DELETE, f"Restore points of {item.vm_name}")
            job_table.set_properties(tx, job_id, {_BEGUN: "being put back"})
        state = ProtectionState(str(job.parameters.get(STATE, ProtectionState.STOPPED)))
        items.put(tx, replace(item, state=state))
        tracks.delete(tx, item.id)
        if any(each.is_active for each in items.of_machine(tx, item.vm_uuid) if each.id != item.id):
            return ()
        existing = points.restore_points_of(tx, item.vm_uuid)
        for point in existing:
            points.withdraw_restore_point(tx, point.id)
    warnings: list[JobError] = []
    # A lock that was just removed may have left the immutable flag on files.
    shield.settle(runtime, item.vm_uuid)
    try:
        machine = inventory.machine(runtime.hypervisor, item.vm_uuid)
    except NotFound:
        message = f"{item.vm_name} does not exist any more, so there were no disks to put back."
        warnings.append(JobError(NotFound.code, message))
    else:
        machine.require_readable_disks()
        for disk in machine.disks:
            check()
            _flatten(runtime, machine, disk, existing, check)
            faults.place("protection.disk-flat")
    with runtime.catalog.transaction() as tx:
        for point in existing:
            points.delete_restore_point(tx, point.id)
        merges.forget(tx, item.vm_uuid)
        locking.remove_empty_collections(tx, item.vm_uuid)
        job_table.set_properties(tx, job_id, {_BEGUN: "put back"})
    return tuple(warnings)


def _flatten(
    runtime: Runtime,
    machine: VirtualMachine,
    disk: Disk,
    existing: list[RestorePoint],
    check: Callable[[], None],
) -> None:
    captured = [capture for point in existing for capture in point.disks if capture.target == disk.target]
    named = {path for capture in captured for path in (*capture.chain, capture.overlay)}
    overlays = sorted(path for path in named if is_overlay(path) and path != disk.original.path)
    limits = MergeLimits(timeout_s=merging.MERGE_TIMEOUT_S, cancelled=lambda: merging.wants_stop(check))
    flatten(runtime.hypervisor, machine.uuid, disk.target, disk.original.path, overlays, limits)
