"""What a caller may ask about the protection of VMs: begin, change, stop, suspend, delete, have back.

As in ``service``: what takes long becomes a job; what is known to be impossible is raised at once. The states
and what leads from one to the other: docs/protection.md.
"""

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

from overwinter.catalog import items, points, policies, schedules, upkeep, vaults
from overwinter.catalog import jobs as job_table
from overwinter.catalog.database import Transaction
from overwinter.jobs import locking, point_expiry
from overwinter.jobs.deletion import UNTIL, open_ruled
from overwinter.jobs.engine import JobEngine
from overwinter.jobs.policy_admin import refuse_shorter_retention
from overwinter.jobs.protection import STATE
from overwinter.jobs.runtime import Runtime
from overwinter.model import names
from overwinter.model.disk_selection import DiskSelection
from overwinter.model.errors import (
    BackupOperationInProgress,
    ItemSoftDeleted,
    NewestPointStays,
    RequestError,
)
from overwinter.model.job import TRANSFER_DATA, Job, JobOperation
from overwinter.model.lock import Access
from overwinter.model.point import RecoveryPoint
from overwinter.model.policy import Policy
from overwinter.model.protection import ProtectedItem, ProtectionState, Vault
from overwinter.model.vm import VirtualMachine


class ProtectionAdmin:
    """Part of the face of the jobs room. Safe to call from many threads."""

    def __init__(self, runtime: Runtime, engine: JobEngine) -> None:
        self._runtime = runtime
        self._engine = engine

    def protect(
        self, vault: Vault, machine: VirtualMachine, policy_name: str, disks: DiskSelection | None = None
    ) -> Job:
        """Bind a VM to a policy; one that was stopped or suspended goes on, an active one changes.

        ``disks`` are the disks to back up from the next backup on; null leaves that as it is. Raises
        ProtectedInAnotherVault, ItemSoftDeleted, VaultImmutable for a policy with shorter retention,
        DiskSelectionInvalid, NotFound for the policy, RequestError for a VM that cannot be protected.
        """
        if not machine.persistent:
            raise RequestError(
                f"{machine.name} is a transient domain: it has no definition to put back. Define it first "
                f"(virsh define)."
            )
        if disks is not None:
            disks.check(machine)
        with self._runtime.catalog.transaction() as tx:
            policy = policies.get(tx, vault.id, policy_name)
            existing = next(
                (item for item in items.of_machine(tx, machine.uuid) if item.vault_id == vault.id), None
            )
            if existing is None:
                item = self._new_item(tx, vault, machine, policy)
            else:
                refuse_deleted(existing)
                refuse_shorter_retention(
                    vaults.get_by_id(tx, vault.id), policies.get_by_id(tx, existing.policy_id), policy
                )
                item = replace(existing, policy_id=policy.id, state=_going_on(existing))
            if disks is not None:
                item = replace(item, disks=disks)
            items.put(tx, item)
            if existing is None or not existing.is_active or existing.policy_id != policy.id:
                schedules.set_done(tx, item.id, self._runtime.clock())  # what it would have run is not missed
            point_expiry.apply(tx, item.id, policy.content)
            job = self._job(item, JobOperation.CONFIGURE_BACKUP, {"policy": policy.name})
            job_table.insert(tx, replace(job, properties={"policy": policy.name}))
        self._engine.enqueue(job)
        return job

    def stop(self, item: ProtectedItem, *, expire: bool = False) -> Job:
        """Stop backups and keep the recovery points: without end, or with ``expire`` as the policy says.

        Points that only the host holds are brought into the vault first; the job fails, with nothing changed,
        when that cannot be done.

        Raises ItemSoftDeleted, BackupOperationInProgress, ScopeLocked when a lock holds its restore points.
        """
        refuse_deleted(item)
        self._refuse_locked(item, data=False)
        state = ProtectionState.SUSPENDED if expire else ProtectionState.STOPPED
        with self._runtime.catalog.transaction() as tx:
            is_whole = all(point.manifest is not None for point in points.recovery_points_of(tx, item.id))
        tasks = () if is_whole else (TRANSFER_DATA,)
        return self._start(item, JobOperation.DISABLE_BACKUP, {STATE: state.value}, tasks)

    def delete_data(self, item: ProtectedItem) -> Job:
        """Stop backups and delete the recovery points, to be kept for the vault's days of soft delete.

        Raises ItemSoftDeleted, VaultImmutable, BackupOperationInProgress, ScopeLocked when a lock holds its
        restore points, or the vault's group and with it the data.
        """
        refuse_deleted(item)
        self._refuse_locked(item, data=True)
        now = self._runtime.clock()
        with self._runtime.catalog.transaction() as tx:
            rules = vaults.get_by_id(tx, item.vault_id).rules
            found = points.recovery_points_of(tx, item.id)
        for point in found:
            if point.manifest is not None and point.deleted_until is None:
                rules.refuse_deletion(f"Recovery point {point.id}", point.expires, now)
        until = rules.kept_until(now)
        parameters: dict[str, object] = {UNTIL: until.isoformat() if until > now else None}
        return self._start(item, JobOperation.DELETE_BACKUP_DATA, parameters)

    def undelete(self, item: ProtectedItem) -> Job:
        """Have deleted backup data back; protection is stopped then.

        Raises RequestError when it is not deleted or its days are over, BackupOperationInProgress.
        """
        if item.deleted_until is None:
            raise RequestError(f"The backup data of {item.vm_name} is not deleted.")
        if item.deleted_until <= self._runtime.clock():
            raise RequestError(
                f"The backup data of {item.vm_name} could be had back until "
                f"{item.deleted_until:%Y-%m-%d %H:%M} UTC only."
            )
        return self._start(item, JobOperation.UNDELETE, {})

    # --- single recovery points ---------------------------------------------------------------------------

    def check_point_deletion(self, item: ProtectedItem, point_id: str) -> RecoveryPoint:
        """The point, if it may be deleted now.

        Raises NotFound, ItemSoftDeleted, NewestPointStays, VaultImmutable, BackupOperationInProgress.
        """
        refuse_deleted(item)
        with self._runtime.catalog.transaction() as tx:
            point = points.get_recovery_point(tx, item.id, point_id)
            if point.deleted_until is not None:
                raise ItemSoftDeleted(f"Recovery point {point.id} is deleted already.")
            living = [each for each in points.recovery_points_of(tx, item.id) if each.deleted_until is None]
            stored = [each for each in living if each.manifest is not None]
            if point in (*living[-1:], *stored[-1:]):
                raise NewestPointStays(
                    f"Recovery point {point.id} is the newest of {item.vm_name} and stays."
                )
            rules = vaults.get_by_id(tx, item.vault_id).rules
            rules.refuse_deletion(f"Recovery point {point.id}", point.expires, self._runtime.clock())
            for job in job_table.active(tx):
                if job.vm_uuid in (item.vm_uuid, item.vault_id):
                    raise BackupOperationInProgress(
                        f"{job.operation} of {job.vm_name} is in progress (job {job.id}). Wait for it to end."
                    )
        return point

    def delete_point(self, item: ProtectedItem, point_id: str) -> RecoveryPoint | None:
        """Delete one recovery point. Gives it as it is now, null when it is gone at once.

        Its snapshot on the host is not offered any more and goes when its days are over. Raises as
        ``check_point_deletion``, and the vault room's errors.
        """
        point = self.check_point_deletion(item, point_id)
        with self._runtime.catalog.transaction() as tx:
            vault = vaults.get_by_id(tx, item.vault_id)
        kept = None
        if point.manifest is not None:
            now = self._runtime.clock()
            until = vault.rules.kept_until(now)
            store = open_ruled(self._runtime, vault)
            kept = store.delete_point(point.manifest, now=now, until=until)
        with self._runtime.catalog.transaction() as tx:
            if kept is None:
                points.delete_recovery_point(tx, point)
                upkeep.note_removed(tx, vault.id, 1)
                return None
            deleted = replace(point, deleted_until=kept, restore_point=None)
            points.put_recovery_point(tx, deleted)
        return deleted

    def undelete_point(self, item: ProtectedItem, point_id: str) -> RecoveryPoint:
        """Have one deleted recovery point back; it stays for the vault's days of soft delete at least.

        Raises NotFound when it is gone, ItemSoftDeleted when the whole item is deleted, RequestError when it
        is not deleted.
        """
        refuse_deleted(item)
        with self._runtime.catalog.transaction() as tx:
            point = points.get_recovery_point(tx, item.id, point_id)
            vault = vaults.get_by_id(tx, item.vault_id)
        if point.deleted_until is None or point.manifest is None:
            raise RequestError(f"Recovery point {point.id} is not deleted.")
        now = self._runtime.clock()
        self._runtime.vaults.open(vault).undelete_point(point.manifest, now=now)
        # It may have expired meanwhile, and would go again at once.
        stays = now + timedelta(days=vault.rules.soft_delete_days)
        expires = None if point.expires is None else max(point.expires, stays)
        back = replace(point, deleted_until=None, expires=expires)
        with self._runtime.catalog.transaction() as tx:
            points.put_recovery_point(tx, back)
        return back

    # --- parts --------------------------------------------------------------------------------------------

    def _refuse_locked(self, item: ProtectedItem, *, data: bool) -> None:
        with self._runtime.catalog.transaction() as tx:
            what = f"Restore points of {item.vm_name}"
            locking.refuse_for_machine(tx, item.vm_uuid, Access.DELETE, what)
            if data:
                vault = vaults.get_by_id(tx, item.vault_id)
                locking.refuse_for_group(tx, vault.resource_group, f"Backup data of {item.vm_name}")

    def _new_item(
        self, tx: Transaction, vault: Vault, machine: VirtualMachine, policy: Policy
    ) -> ProtectedItem:
        return ProtectedItem(
            id=uuid4(),
            vault_id=vault.id,
            policy_id=policy.id,
            vm_uuid=machine.uuid,
            vm_name=items.free_name(tx, vault.id, machine.name, machine.uuid),
            resource_group=names.DEFAULT_RESOURCE_GROUP,
            state=ProtectionState.PENDING,
            created=self._runtime.clock(),
        )

    def _start(
        self,
        item: ProtectedItem,
        operation: JobOperation,
        parameters: dict[str, object],
        tasks: tuple[str, ...] = (),
    ) -> Job:
        job = self._job(item, operation, parameters, tasks)
        with self._runtime.catalog.transaction() as tx:
            job_table.insert(tx, job)
        self._engine.enqueue(job)
        return job

    def _job(
        self,
        item: ProtectedItem,
        operation: JobOperation,
        parameters: dict[str, object],
        tasks: tuple[str, ...] = (),
    ) -> Job:
        now = self._runtime.clock()
        return Job.of_item(item, operation, started=now, tasks=tasks, parameters=parameters)


def refuse_deleted(item: ProtectedItem, point: RecoveryPoint | None = None) -> None:
    """Raise ItemSoftDeleted when an item, or one of its points, is deleted."""
    if point is not None and point.deleted_until is not None:
        raise ItemSoftDeleted(
            f"Recovery point {point.id} is deleted and can be had back until "
            f"{point.deleted_until:%Y-%m-%d %H:%M} UTC: overwinter point undelete {item.vm_name} {point.id}"
        )
    if item.deleted_until is not None:
        raise ItemSoftDeleted(
            f"The backup data of {item.vm_name} is deleted and can be had back until "
            f"{item.deleted_until:%Y-%m-%d %H:%M} UTC: overwinter undelete {item.vm_name}"
        )


def _going_on(item: ProtectedItem) -> ProtectionState:
    """The state in which an item is protected."""
    if item.is_active:
        return item.state
    return ProtectionState.PENDING if item.last_recovery_point is None else ProtectionState.PROTECTED
