"""What the catalog knows of a VM, read in one transaction."""

from uuid import UUID

from overwinter.catalog import captures, items, merges, points, policies, vaults
from overwinter.catalog import jobs as job_table
from overwinter.catalog.database import Transaction
from overwinter.doctor.facts import Protection, Records
from overwinter.jobs import locking
from overwinter.jobs.runtime import Runtime
from overwinter.model.job import JobOperation
from overwinter.model.protection import ProtectedItem

#: Ended backups that are looked at.
_BACKUPS = 10

#: Verifications of a vault that are looked at; some may be of single points.
_VERIFICATIONS = 20


def find_item(runtime: Runtime, vm: str) -> ProtectedItem | None:
    """The item of a VM of that name or UUID, the active one first; for VMs that libvirt does not tell of."""
    with runtime.catalog.transaction() as tx:
        named = [
            item for item in items.every(tx) if vm.casefold() in (item.vm_name.casefold(), str(item.vm_uuid))
        ]
    return max(named, key=lambda item: item.is_active, default=None)


def read(runtime: Runtime, vm_uuid: UUID) -> Records:
    """Everything about a VM that checks may want to know."""
    with runtime.catalog.transaction() as tx:
        protection = _protection(tx, vm_uuid)
        known = Records(
            protection=protection,
            restore_points=tuple(points.restore_points_of(tx, vm_uuid)),
            locks=tuple({lock.id: lock for lock in locking.held_points(tx, vm_uuid).values()}.values()),
            active_jobs=tuple(job for job in job_table.active(tx) if job.vm_uuid == vm_uuid),
            unsettled=any(note.vm_uuid == vm_uuid for note in captures.every(tx))
            or bool(merges.of_machine(tx, vm_uuid)),
        )
        return known if protection is None else _with_history(tx, known, protection)


def _protection(tx: Transaction, vm_uuid: UUID) -> Protection | None:
    item = max(items.of_machine(tx, vm_uuid), key=lambda each: each.is_active, default=None)
    if item is None:
        return None
    return Protection(
        item=item,
        policy=policies.get_by_id(tx, item.policy_id),
        vault=vaults.get_by_id(tx, item.vault_id),
    )


def _with_history(tx: Transaction, known: Records, protection: Protection) -> Records:
    vault, item = protection.vault.id, protection.item.id
    backups = job_table.ended(tx, JobOperation.BACKUP, _BACKUPS, vault_id=vault, item_id=item)
    verifications = job_table.ended(tx, JobOperation.VERIFY, _VERIFICATIONS, vault_id=vault)
    return Records(
        protection=protection,
        restore_points=known.restore_points,
        recovery_points=tuple(points.recovery_points_of(tx, item)),
        locks=known.locks,
        active_jobs=known.active_jobs,
        backups=tuple(backups),
        unsettled=known.unsettled,
        verifications=tuple(job for job in verifications if job.parameters.get("manifest") is None),
    )
