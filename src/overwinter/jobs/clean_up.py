"""The job CleanUp: a VM's expired restore points go; or all of one collection, or a single one, by hand.

It advances in small steps, each of at most one point and one merge and safe to repeat, so that thousands of
points take long but never too long: a job that was stopped, cancelled or killed has done what it has done,
and the next goes on. A lock that comes meanwhile stops it before the next step.

One step: a merge that is due, else the oldest point that has to go, else nothing is left to do. The row of a
point goes only when what it offers was withdrawn, and, for a VM that was removed, its files are gone: it is
what names them.
"""

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

import structlog

from overwinter.catalog import items, merges, points, policies
from overwinter.catalog import jobs as job_table
from overwinter.catalog.database import Transaction
from overwinter.hypervisor import inventory
from overwinter.jobs import abandoned, faults, locking, merging, prune
from overwinter.jobs.runtime import Runtime
from overwinter.model.errors import BackupOperationInProgress, NotFound
from overwinter.model.job import CLEAN_UP_POINTS, Job, JobOperation, TaskStatus
from overwinter.model.lock import Access, Lock, locked
from overwinter.model.point import RestorePoint
from overwinter.model.protection import ProtectedItem

log = structlog.get_logger(__name__)

#: Parameters of a job that deletes by hand; without them it removes what has expired.
COLLECTION = "collection"
POINT = "point"

#: Property of a job: how many restore points it has removed.
REMOVED = "restore_points_removed"


def step(runtime: Runtime, job_id: UUID, check: Callable[[], None]) -> bool:
    """One step; False when there is none left. Raises ScopeLocked, JobCancelled."""
    check()
    with runtime.catalog.transaction() as tx:
        job = job_table.get(tx, job_id)
        job_table.start_task(tx, job_id, CLEAN_UP_POINTS, now=runtime.clock())
        doomed, lock = _doomed(tx, runtime, job)
    gone = not inventory.exists(runtime.hypervisor, job.vm_uuid)
    if not gone and merging.merge_next(runtime, job.vm_uuid, check):
        return True
    if lock is not None:
        raise locked(lock, Access.DELETE, f"Restore points of {job.vm_name}")
    if not doomed:
        with runtime.catalog.transaction() as tx:
            locking.remove_empty_collections(tx, job.vm_uuid)
            job_table.end_task(tx, job_id, CLEAN_UP_POINTS, status=TaskStatus.COMPLETED, now=runtime.clock())
        return False
    _remove(runtime, job, doomed[0], gone=gone)
    faults.place("clean-up.point-removed")
    return True


def new_job(item: ProtectedItem, now: datetime) -> Job:
    """A job that removes the expired restore points of an item's VM."""
    return Job.of_item(item, JobOperation.CLEAN_UP_POINTS, started=now, tasks=(CLEAN_UP_POINTS,))


def order(runtime: Runtime, backup_id: UUID) -> str | None:
    """After a backup that failed at the restore point limit: the id of a job that will clean up.

    None where the backup itself has tried that already, and when another job of the VM has begun meanwhile.
    """
    if runtime.settings.profile.makes_room:
        return None
    with runtime.catalog.transaction() as tx:
        backup = job_table.get(tx, backup_id)
        item = None if backup.item_id is None else items.find_by_id(tx, backup.item_id)
        if item is None:
            return None
        job = new_job(item, runtime.clock())
        try:
            job_table.insert(tx, job)
        except BackupOperationInProgress as error:
            log.info("clean-up not ordered", vm=item.vm_name, reason=error.message)
            return None
    return str(job.id)


def _doomed(tx: Transaction, runtime: Runtime, job: Job) -> tuple[list[RestorePoint], Lock | None]:
    """The points that the job still has to remove, oldest first, and the lock on the next, if any."""
    if COLLECTION not in job.parameters:
        item = None if job.item_id is None else items.find_by_id(tx, job.item_id)
        if item is None:
            raise NotFound(f"{job.vm_name} is no item any more.")
        doomed, lock = prune.removable(tx, runtime, item, policies.get_by_id(tx, item.policy_id))
        return doomed, None if doomed else lock
    found = points.restore_points_in(tx, UUID(str(job.parameters[COLLECTION])))
    wanted = job.parameters.get(POINT)
    doomed = [point for point in found if wanted is None or str(point.id) == wanted]
    held = locking.held_points(tx, job.vm_uuid)
    return doomed, held.get(doomed[0].id) if doomed else None


def _remove(runtime: Runtime, job: Job, point: RestorePoint, *, gone: bool) -> None:
    with runtime.catalog.transaction() as tx:
        lock = locking.held_points(tx, job.vm_uuid).get(point.id)
        if lock is not None:
            raise locked(lock, Access.DELETE, f"Restore points of {job.vm_name}")
        points.withdraw_restore_point(tx, point.id)
        others = [each for each in points.restore_points_of(tx, job.vm_uuid) if each.id != point.id]
    if gone:
        abandoned.remove_files(runtime, point, others)
    with runtime.catalog.transaction() as tx:
        points.delete_restore_point(tx, point.id)
        removed = int(str(job.properties.get(REMOVED, 0))) + 1
        job_table.set_properties(tx, job.id, {REMOVED: removed})
        if gone and not others:
            merges.forget(tx, job.vm_uuid)
