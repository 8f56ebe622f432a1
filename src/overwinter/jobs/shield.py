"""Locks made to hold on disk: the frozen files of locked restore points carry the immutable flag.

The catalog decides; the flags follow. `settle` compares and puts right, so it may be called at any time and
again after a crash. Order of writes: a lock is committed, then its flags are set; a lock is removed, then its
flags are cleared. A crash in between is put right at start-up, and by whoever is about to change a chain.

Flagged is a frozen layer, from the overlay below a point down to the VM's own original. Never flagged is

- what a domain writes to now or at its next start: the active overlay, an image that somebody put back;
- the two files of a merge that began before the lock came: half merged, they must be finished;
- what lies below the original: the user's templates, which other VMs may share.
"""

from uuid import UUID

import structlog

from overwinter.catalog import jobs, merges, points
from overwinter.hypervisor import chain
from overwinter.hypervisor.image_user import image_user
from overwinter.images import immutable
from overwinter.jobs import locking
from overwinter.jobs.runtime import Runtime
from overwinter.model.errors import OverwinterError
from overwinter.model.point import DiskCapture, RestorePoint
from overwinter.model.vm import original_index

log = structlog.get_logger(__name__)


def settle(runtime: Runtime, vm_uuid: UUID) -> None:
    """Set and clear the flags of a VM's frozen files as its locks say. Raises ImageError, HypervisorError."""
    with runtime.catalog.transaction() as tx:
        existing = points.restore_points_of(tx, vm_uuid)
        held = locking.held_points(tx, vm_uuid)
        merging = {path for merge in merges.of_machine(tx, vm_uuid) for path in (merge.overlay, merge.base)}
    locked = _frozen_files([point for point in existing if point.id in held]) - merging
    if locked:
        with runtime.hypervisor.session() as connection:
            locked -= chain.written_images(connection)
    for path in sorted(_frozen_files(existing) - locked):
        immutable.release(path)
    reader = image_user(runtime.hypervisor, vm_uuid) if locked else None
    if reader is None:
        return
    for path in sorted(locked):
        if not immutable.protect(path, reader):
            log.info("locked file without immutable flag", path=path)


def settle_for_job(runtime: Runtime, job_id: UUID) -> None:
    """`settle` for the VM of a job."""
    with runtime.catalog.transaction() as tx:
        vm_uuid = jobs.get(tx, job_id).vm_uuid
    settle(runtime, vm_uuid)


def settle_all(runtime: Runtime) -> None:
    """`settle` for every VM with restore points; what fails is logged, and tried again by who needs it."""
    with runtime.catalog.transaction() as tx:
        machines = points.machines_with_restore_points(tx)
    for vm_uuid in machines:
        try:
            settle(runtime, vm_uuid)
        except OverwinterError as error:
            log.error("immutable flag not as the locks say", vm=str(vm_uuid), reason=error.message)


def _frozen_files(existing: list[RestorePoint]) -> set[str]:
    return {path for point in existing for disk in point.disks for path in _own_layers(disk)}


def _own_layers(disk: DiskCapture) -> tuple[str, ...]:
    return disk.chain[: original_index(disk.chain) + 1]
