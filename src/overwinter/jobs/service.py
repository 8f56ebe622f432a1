"""What a caller may ask of the service, and what is refused at once, before anything changes.

Everything that takes time becomes a job; everything that can be known to be impossible is raised here, as an
error of the model's tree. The API translates; it adds no rule of its own.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from uuid import UUID

from overwinter.catalog import items, points, policies, vaults
from overwinter.catalog import jobs as job_table
from overwinter.hypervisor import inventory
from overwinter.hypervisor.domain_xml import hard_disks
from overwinter.jobs import guest_agents, policy_admin, repairs, restore, retry
from overwinter.jobs.engine import JobEngine
from overwinter.jobs.extension_admin import ExtensionAdmin
from overwinter.jobs.follow import machine_of
from overwinter.jobs.point_admin import RestorePointAdmin
from overwinter.jobs.point_expiry import EXPIRES
from overwinter.jobs.protection_admin import ProtectionAdmin, refuse_deleted
from overwinter.jobs.repairs import Case, Finding
from overwinter.jobs.restore import Target
from overwinter.jobs.runtime import Runtime
from overwinter.jobs.schedule import Scheduler
from overwinter.jobs.upkeep import Upkeep
from overwinter.jobs.vault_admin import VaultAdmin
from overwinter.model import names
from overwinter.model.agent import AgentStatus
from overwinter.model.disk_selection import DiskSelection
from overwinter.model.errors import (
    DatasourceNotPresent,
    NotCancellable,
    NotFound,
    RequestError,
)
from overwinter.model.job import (
    CREATE_VM,
    REPAIR_MACHINE,
    RESTORE_DISKS,
    TAKE_SNAPSHOT,
    TRANSFER_DATA,
    Job,
    JobOperation,
    JobStatus,
)
from overwinter.model.point import PointDisk, RecoveryPoint
from overwinter.model.policy import Policy
from overwinter.model.protection import ProtectedItem, Vault
from overwinter.model.vm import VirtualMachine

_TASKS: dict[JobOperation, tuple[str, ...]] = {
    JobOperation.BACKUP: (TAKE_SNAPSHOT, TRANSFER_DATA),
    JobOperation.RESTORE: (RESTORE_DISKS, CREATE_VM),
    JobOperation.REPAIR_MACHINE: (REPAIR_MACHINE,),
}


class Service:
    """The face of the jobs room, with ``vaults``, ``points`` on the host, ``protection``, ``extensions``.

    ``scheduler`` starts what policies ask for, while somebody lets it run. Safe to call from many threads.
    """

    def __init__(self, runtime: Runtime, engine: JobEngine, subscription_id: str) -> None:
        self._runtime = runtime
        self._engine = engine
        self.vaults = VaultAdmin(runtime, engine)
        self.points = RestorePointAdmin(runtime, engine)
        self.extensions = ExtensionAdmin(runtime)
        self.profile = runtime.settings.profile
        self.protection = ProtectionAdmin(runtime, engine)
        self.subscription_id = UUID(subscription_id)
        self.location = names.LOCATION
        self.scheduler = Scheduler(runtime, self._new_job, engine.enqueue)

    @property
    def runtime(self) -> Runtime:
        """The parts of the service, for rooms above that look at them."""
        return self._runtime

    @contextmanager
    def on_its_own(self) -> Iterator[None]:
        """Within the block the service also does what nobody asks for: what policies and time want."""
        with self.scheduler.running(), Upkeep(self._runtime, self.vaults, self.points).running():
            yield

    # --- machines -----------------------------------------------------------------------------------------

    def machines(self) -> list[VirtualMachine]:
        """All VMs of the host."""
        return inventory.machines(self._runtime.hypervisor)

    def machine(self, name: str) -> VirtualMachine:
        """One VM by name or UUID. Raises NotFound."""
        return inventory.machine(self._runtime.hypervisor, name)

    def agent_status(self, vm: VirtualMachine) -> AgentStatus:
        """How the VM's guest agent is; bounded in time. Raises NotFound, HypervisorUnavailable."""
        return guest_agents.status_of(self._runtime, vm)

    # --- policies -----------------------------------------------------------------------------------------

    def policies(self, vault: Vault) -> list[Policy]:
        """The policies of a vault."""
        with self._runtime.catalog.transaction() as tx:
            return policies.of_vault(tx, vault.id)

    def policy(self, vault: Vault, name: str) -> Policy:
        """One policy of a vault. Raises NotFound."""
        with self._runtime.catalog.transaction() as tx:
            return policies.get(tx, vault.id, name)

    def policy_of(self, item: ProtectedItem) -> Policy:
        """The policy an item is bound to."""
        with self._runtime.catalog.transaction() as tx:
            return policies.get_by_id(tx, item.policy_id)

    def put_policy(self, vault: Vault, policy: Policy) -> Policy:
        """Make a policy, or change the one of that name. Raises VaultImmutable, see ``policy_admin``."""
        return policy_admin.put(self._runtime, vault, policy)

    def delete_policy(self, vault: Vault, name: str) -> None:
        """Remove a policy no item uses. Raises PolicyInUse, NotFound."""
        policy_admin.delete(self._runtime, vault, name)

    def policy_item_count(self, policy: Policy) -> int:
        """How many items are bound to a policy."""
        with self._runtime.catalog.transaction() as tx:
            return policies.item_count(tx, policy.id)

    # --- protection ---------------------------------------------------------------------------------------

    def items(self, vault: Vault | None = None) -> list[ProtectedItem]:
        """All items, or those of a vault."""
        with self._runtime.catalog.transaction() as tx:
            return items.every(tx, None if vault is None else vault.id)

    def item(self, vault: Vault, vm_name: str) -> ProtectedItem:
        """The item of a VM in a vault. Raises NotFound."""
        with self._runtime.catalog.transaction() as tx:
            return items.get(tx, vault.id, vm_name)

    def protect(
        self, vault: Vault, machine: VirtualMachine, policy_name: str, disks: DiskSelection | None = None
    ) -> Job:
        """See ``ProtectionAdmin.protect``."""
        return self.protection.protect(vault, machine, policy_name, disks)

    def unprotect(self, item: ProtectedItem, *, delete_data: bool) -> Job:
        """Stop protection; with ``delete_data`` the recovery points are deleted too: ``ProtectionAdmin``."""
        return self.protection.delete_data(item) if delete_data else self.protection.stop(item)

    # --- backup and restore -------------------------------------------------------------------------------

    def backup(self, item: ProtectedItem, *, expires: datetime | None, retries: int = 0) -> Job:
        """Start a backup, with so many more tries when it fails for a reason that may pass.

        Raises DatasourceNotPresent, BackupOperationInProgress, ProtectedVmNotFound.
        """
        if not item.is_active:
            raise DatasourceNotPresent(
                f"{item.vm_name} is not actively protected. Protect it first: "
                f"overwinter protect {item.vm_name} --vault VAULT",
                cause="C-NOT-PROTECTED",
            )
        machine_of(self._runtime, item)
        wanted: dict[str, object] = {EXPIRES: expires and expires.isoformat(), retry.RETRIES: retries}
        return self._start(item, JobOperation.BACKUP, wanted)

    def recovery_points(self, item: ProtectedItem) -> list[RecoveryPoint]:
        """The recovery points of an item, oldest first."""
        with self._runtime.catalog.transaction() as tx:
            return points.recovery_points_of(tx, item.id)

    def recovery_point(self, item: ProtectedItem, point_id: str) -> RecoveryPoint:
        """One recovery point. Raises NotFound."""
        with self._runtime.catalog.transaction() as tx:
            return points.get_recovery_point(tx, item.id, point_id)

    def manifest_disks(self, point: RecoveryPoint) -> list[PointDisk]:
        """The disks a recovery point holds. Raises NotFound when its data is gone."""
        with self._runtime.catalog.transaction() as tx:
            item = _existing(items.find_by_id(tx, point.item_id))
            vault = vaults.get_by_id(tx, item.vault_id)
            taken = (
                None if point.restore_point is None else points.find_restore_point(tx, point.restore_point)
            )
        if taken is not None:
            return list(restore.disks_of(None, taken.disks))
        if point.manifest is None:
            raise NotFound(f"Recovery point {point.id} has no data any more.")
        manifest = self._runtime.vaults.open(vault).manifest(point.manifest)
        return list(restore.disks_of(manifest, ()))

    def left_out_disks(self, point: RecoveryPoint) -> list[tuple[str, int]]:
        """Target and LUN of the disks that the VM had besides those of the point."""
        with self._runtime.catalog.transaction() as tx:
            item = _existing(items.find_by_id(tx, point.item_id))
            vault = vaults.get_by_id(tx, item.vault_id)
            held = point.restore_point
            xml = None if held is None else points.machine_state(tx, held).domain_xml
        if xml is None:
            xml = self._runtime.vaults.open(vault).manifest(str(point.manifest)).domain_xml
        held_targets = {disk.target for disk in self.manifest_disks(point)}
        return [(target, lun) for target, lun in hard_disks(xml) if target not in held_targets]

    def restore_as_vm(
        self,
        point: RecoveryPoint,
        *,
        vm_name: str,
        directory: Path | None,
        start: bool,
    ) -> Job:
        """Restore as a new VM. Raises AlreadyExists when the name or a file is taken, RequestError."""
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", vm_name):
            raise RequestError(
                f"{vm_name!r} is no name for a restored VM: letters, digits, dots, underscores and hyphens, "
                "at most 64, a letter or digit first."
            )
        target = Target(directory or self._runtime.settings.images, vm_name, vm_name, start)
        return self._restore(point, target)

    def restore_disks(self, point: RecoveryPoint, *, directory: Path) -> Job:
        """Restore the disks into a directory. Raises AlreadyExists when a file is taken, RequestError."""
        return self._restore(point, Target(directory, f"recovery-point-{point.id}", None, start=False))

    def _restore(self, point: RecoveryPoint, target: Target) -> Job:
        with self._runtime.catalog.transaction() as tx:
            item = _existing(items.find_by_id(tx, point.item_id))
        refuse_deleted(item, point)
        restore.check_target(self._runtime, target, self.manifest_disks(point))
        return self._start(item, JobOperation.RESTORE, {"point": point.id, **target.to_parameters()})

    # --- repair -------------------------------------------------------------------------------------------

    def plan_repairs(self, item: ProtectedItem) -> list[Finding]:
        """What a machine could mend of an item's VM now; changes nothing, takes up to half a minute.

        Raises ProtectedVmNotFound, HypervisorUnavailable.
        """
        machine_of(self._runtime, item)
        return repairs.plan(Case(self._runtime, item, lambda: None))

    def repair(self, item: ProtectedItem) -> Job:
        """Mend it. Raises BackupOperationInProgress, ProtectedVmNotFound."""
        machine_of(self._runtime, item)
        return self._start(item, JobOperation.REPAIR_MACHINE, {})

    # --- jobs ---------------------------------------------------------------------------------------------

    def jobs(self, vault: Vault | None = None) -> list[Job]:
        """All jobs, or those of a vault, newest first."""
        with self._runtime.catalog.transaction() as tx:
            return job_table.every(tx, None if vault is None else vault.id)

    def job(self, job_id: UUID) -> Job:
        """One job. Raises NotFound."""
        with self._runtime.catalog.transaction() as tx:
            return job_table.get(tx, job_id)

    def cancel(self, job_id: UUID) -> Job:
        """Ask a running job to stop; one that waits for its turn ends at once.

        Raises NotCancellable, NotFound.
        """
        with self._runtime.catalog.transaction() as tx:
            job = job_table.get(tx, job_id)
            if job.status is JobStatus.CANCELLING:
                return job
            if not job_table.request_cancel(tx, job_id, now=self._runtime.clock()):
                raise NotCancellable(f"The job is {job.status} and cannot be cancelled.")
            return job_table.get(tx, job_id)

    def _start(self, item: ProtectedItem, operation: JobOperation, parameters: dict[str, object]) -> Job:
        job = self._new_job(item, operation, parameters)
        with self._runtime.catalog.transaction() as tx:
            job_table.insert(tx, job)
        self._engine.enqueue(job)
        return job

    def _new_job(self, item: ProtectedItem, operation: JobOperation, parameters: dict[str, object]) -> Job:
        wanted = _TASKS.get(operation, ())
        if operation is JobOperation.RESTORE and parameters.get("vm_name") is None:
            wanted = (RESTORE_DISKS,)
        now = self._runtime.clock()
        return Job.of_item(item, operation, started=now, tasks=wanted, parameters=parameters)


def _existing(item: ProtectedItem | None) -> ProtectedItem:
    if item is None:
        raise NotFound("The recovery point's item was deleted.")
    return item
