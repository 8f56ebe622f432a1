"""A fake of the jobs room's service, in memory, for tests of API and CLI: jobs end when a test says so."""

import threading
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn
from uuid import UUID, uuid4, uuid5

from overwinter.jobs.point_admin import CollectionContent
from overwinter.jobs.repairs import Finding
from overwinter.jobs.vault_points import TakenIn
from overwinter.model.agent import AgentState, AgentStatus, GuestSystem, LastSeen
from overwinter.model.default_policies import default_policies
from overwinter.model.disk_selection import DiskSelection
from overwinter.model.errors import (
    AlreadyExists,
    BackupOperationInProgress,
    DatasourceNotPresent,
    LockNotFound,
    NewestPointStays,
    NotCancellable,
    NotFound,
    PolicyInUse,
    RequestError,
    ResourceGroupNotFound,
    VaultNotEmpty,
)
from overwinter.model.guest_extension import ExtensionStatus, ProvisioningState
from overwinter.model.job import (
    REPAIR_MACHINE,
    SCHEDULED,
    TAKE_SNAPSHOT,
    TRANSFER_DATA,
    Job,
    JobError,
    JobOperation,
    JobStatus,
    Task,
    TaskStatus,
)
from overwinter.model.lock import Access, Lock, LockLevel, LockScope, refuse
from overwinter.model.names import LOCATION, recovery_point_id
from overwinter.model.point import (
    Consistency,
    DiskCapture,
    PointDisk,
    RecoveryPoint,
    RestorePoint,
    RestorePointCollection,
)
from overwinter.model.policy import Policy
from overwinter.model.profile import OVERWINTER
from overwinter.model.protection import KeyKind, ProtectedItem, ProtectionState, StackVersion, Vault
from overwinter.model.vault_rules import Immutability, SoftDelete, VaultRules
from overwinter.model.vm import Disk, Firmware, ImageLayer, PowerState, VirtualMachine
from overwinter.vault import VaultStats
from overwinter.vault.stats import ObjectStats, PointStats, VmStats

GIB = 1 << 30
START = datetime(2026, 1, 1, 2, 30, tzinfo=UTC)
SUBSCRIPTION = UUID("3f9a2b10-4a70-4c53-9d5c-0d7a51c5e001")


def make_machine(name: str, *, state: PowerState = PowerState.RUNNING, disks: int = 2) -> VirtualMachine:
    layers = [("qcow2", "vda"), ("raw", "vdb"), ("raw", "vdc")][:disks]
    return VirtualMachine(
        uuid=uuid5(SUBSCRIPTION, name),
        name=name,
        state=state,
        persistent=True,
        vcpus=2,
        memory_bytes=2 * GIB,
        firmware=Firmware.BIOS,
        disks=tuple(
            Disk(target, lun, (lun + 2) * GIB, (ImageLayer(f"/images/{name}-{target}", kind),))
            for lun, (kind, target) in enumerate(layers, start=-1)
        ),
        agent_channel=True,
        agent_connected=state is PowerState.RUNNING,
    )


class FakeExtensions:
    """The guest has what it was given; nobody installs anything but the one version."""

    def __init__(self) -> None:
        self.installed: dict[UUID, ExtensionStatus] = {}

    def status(self, vm: VirtualMachine) -> ExtensionStatus | None:
        if vm.state is not PowerState.RUNNING:
            return None
        return self.installed.get(vm.uuid, ExtensionStatus(ProvisioningState.NOT_INSTALLED))

    def install(self, vm: VirtualMachine) -> ExtensionStatus:
        self.installed[vm.uuid] = ExtensionStatus(ProvisioningState.SUCCEEDED, "0.1.0.7", "Ready.")
        return self.installed[vm.uuid]

    def remove(self, vm: VirtualMachine) -> None:
        del self.installed[vm.uuid]


class FakeService:
    """Like the real service to its callers; `finish` and `advance` do what its workers would do."""

    subscription_id = SUBSCRIPTION
    location = LOCATION

    def __init__(self, *names: str) -> None:
        self._machines = [make_machine(name) for name in names]
        self.vaults = FakeVaults(self)
        self.points = FakePoints(self)
        self.profile = OVERWINTER
        self.protection = FakeProtection(self)
        self._policies: dict[UUID, Policy] = {}
        self._items: dict[UUID, ProtectedItem] = {}
        self._points: dict[UUID, list[RecoveryPoint]] = {}
        self._jobs: dict[UUID, Job] = {}
        self._lock = threading.RLock()
        self._seen: dict[UUID, threading.Semaphore] = {}
        self.auto_finish = False
        self._extensions = FakeExtensions()
        self.agent_seen = datetime(2026, 1, 1, 12, tzinfo=UTC)
        self.expires: datetime | None = None
        self.broken: Exception | None = None
        self.report: dict[str, object] | None = None
        self.repairable: list[Finding] = []

    def on_its_own(self) -> AbstractContextManager[None]:
        return nullcontext()

    # --- machines

    def machines(self) -> list[VirtualMachine]:
        if self.broken is not None:
            raise self.broken
        return list(self._machines)

    def machine(self, name: str) -> VirtualMachine:
        return next((vm for vm in self._machines if vm.name == name), None) or _missing("VM", name)

    @property
    def extensions(self) -> "FakeExtensions":
        return self._extensions

    def agent_status(self, vm: VirtualMachine) -> AgentStatus:
        last = LastSeen(self.agent_seen, "7.2.0", GuestSystem("debian", "Debian GNU/Linux", "12", "6.1.0"))
        if vm.state is PowerState.RUNNING:
            return AgentStatus(AgentState.READY, "Guest Agent is running", last, hostname=vm.name)
        return AgentStatus(AgentState.STOPPED, "The VM is not running.", last)

    # --- policies

    def policies(self, vault: Vault) -> list[Policy]:
        return [policy for policy in self._policies.values() if policy.vault_id == vault.id]

    def policy(self, vault: Vault, name: str) -> Policy:
        return next((p for p in self.policies(vault) if p.name == name), None) or _missing("policy", name)

    def put_policy(self, vault: Vault, policy: Policy) -> Policy:
        self._policies[policy.id] = policy
        return policy

    def delete_policy(self, vault: Vault, name: str) -> None:
        policy = self.policy(vault, name)
        if self.policy_item_count(policy):
            raise PolicyInUse(f"Policy {name!r} is in use.")
        del self._policies[policy.id]

    def policy_item_count(self, policy: Policy) -> int:
        return sum(item.policy_id == policy.id for item in self._items.values())

    # --- protection

    def protect(self, vault: Vault, machine: VirtualMachine, policy_name: str) -> Job:
        return self.protection.protect(vault, machine, policy_name)

    def items(self, vault: Vault | None = None) -> list[ProtectedItem]:
        return [item for item in self._items.values() if vault is None or item.vault_id == vault.id]

    # --- backup and restore

    def backup(self, item: ProtectedItem, *, expires: datetime | None) -> Job:
        with self._lock:
            if not item.is_active:
                raise DatasourceNotPresent(f"VM {item.vm_name!r} is not protected.")
            if any(j.item_id == item.id and not j.status.is_final for j in self._jobs.values()):
                raise BackupOperationInProgress(f"A job of VM {item.vm_name!r} is running.")
            self.expires = expires
            tasks = (
                Task(TAKE_SNAPSHOT, TaskStatus.IN_PROGRESS, START),
                Task(TRANSFER_DATA, done=0, total=3 * GIB),
            )
            return self._start(item, JobOperation.BACKUP, tasks)

    def plan_repairs(self, item: ProtectedItem) -> list[Finding]:
        return self.repairable

    def repair(self, item: ProtectedItem) -> Job:
        return self._start(item, JobOperation.REPAIR_MACHINE, (Task(REPAIR_MACHINE),))

    def recovery_points(self, item: ProtectedItem) -> list[RecoveryPoint]:
        return list(self._points.get(item.id, []))

    def recovery_point(self, item: ProtectedItem, id: str) -> RecoveryPoint:  # noqa: A002
        found = (point for point in self.recovery_points(item) if point.id == id)
        return next(found, None) or _missing("recovery point", id)

    def manifest_disks(self, point: RecoveryPoint) -> list[PointDisk]:
        return [PointDisk("vda", -1, GIB, "qcow2"), PointDisk("vdb", 0, 2 * GIB, "raw")]

    def left_out_disks(self, point: RecoveryPoint) -> list[tuple[str, int]]:
        return [("vdc", 1)]

    def restore_as_vm(
        self, point: RecoveryPoint, *, vm_name: str, directory: Path | None, start: bool
    ) -> Job:
        if any(vm.name == vm_name for vm in self._machines):
            raise AlreadyExists(f"A VM {vm_name!r} exists already.")
        self._machines.append(make_machine(vm_name))
        asked = {"vm_name": vm_name, "directory": directory and str(directory), "start": start}
        return self._start(self._items[point.item_id], JobOperation.RESTORE, parameters=asked)

    def restore_disks(self, point: RecoveryPoint, *, directory: Path) -> Job:
        asked: dict[str, object] = {"directory": str(directory)}
        return self._start(self._items[point.item_id], JobOperation.RESTORE, parameters=asked)

    # --- jobs

    def jobs(self, vault: Vault | None = None) -> list[Job]:
        return [job for job in self._jobs.values() if vault is None or job.vault_id == vault.id]

    def job(self, id: UUID) -> Job:  # noqa: A002
        if id in self._seen:
            self._seen[id].release()
        return self._jobs.get(id) or _missing("job", str(id))

    def cancel(self, id: UUID) -> Job:  # noqa: A002
        job = self.job(id)
        if job.status is not JobStatus.IN_PROGRESS:
            raise NotCancellable(f"Job {id} has ended.")
        self._jobs[id] = replace(job, status=JobStatus.CANCELLED, ended=START + timedelta(minutes=1))
        return self._jobs[id]

    # --- what workers would do

    def finish(self, job: Job, status: JobStatus = JobStatus.COMPLETED, *errors: JobError) -> None:
        ended = job.started + timedelta(seconds=91.78)
        task_status = TaskStatus.FAILED if status is JobStatus.FAILED else TaskStatus.COMPLETED
        tasks = tuple(replace(t, status=task_status, ended=ended, done=t.total) for t in job.tasks)
        self._jobs[job.id] = replace(job, status=status, ended=ended, tasks=tasks, errors=errors)
        item = self._items.get(job.item_id) if job.item_id else None
        if item is not None and job.operation is JobOperation.BACKUP and status is not JobStatus.FAILED:
            self.add_point(item, ended)

    def diagnose(self, job: Job, diagnosis: dict[str, Any]) -> Job:
        """Somebody has found out, or is finding out, what is behind the job's errors."""
        self._jobs[job.id] = replace(self._jobs[job.id], diagnosis=diagnosis)
        return self._jobs[job.id]

    def make_scheduled(self, job: Job) -> None:
        """The job was one of a schedule."""
        self._jobs[job.id] = replace(self._jobs[job.id], parameters={SCHEDULED: START.isoformat()})

    def wait_until_seen(self, job: Job) -> None:
        """Until somebody asks twice for the job as it is now: the first may have asked just before."""
        self._seen[job.id] = threading.Semaphore(0)
        for _ in range(2):
            assert self._seen[job.id].acquire(timeout=20)

    def advance(self, job: Job, done: int) -> None:
        """The transfer has moved ``done`` bytes."""
        snapshot, transfer = job.tasks
        tasks = (
            replace(snapshot, status=TaskStatus.COMPLETED, ended=START),
            replace(transfer, status=TaskStatus.IN_PROGRESS, started=START, done=done),
        )
        self._jobs[job.id] = replace(job, tasks=tasks)

    def add_point(self, item: ProtectedItem, created: datetime) -> RecoveryPoint:
        point = RecoveryPoint(
            id=recovery_point_id(created),
            item_id=item.id,
            created=created,
            consistency=Consistency.FILE_SYSTEM,
            expires=created + timedelta(days=30),
            restore_point=uuid4(),
            manifest="m",
            bytes_read=3 * GIB,
            bytes_stored=GIB,
            freeze_ms=12,
        )
        self._points.setdefault(item.id, []).append(point)
        self._items[item.id] = replace(
            item,
            state=ProtectionState.PROTECTED,
            last_backup=created,
            last_backup_status="Completed",
            last_recovery_point=created,
        )
        return point

    def start_on_vault(self, vault: Vault, operation: JobOperation) -> Job:
        return self._add(
            Job(
                id=uuid4(),
                vault_id=vault.id,
                item_id=None,
                vm_uuid=vault.id,
                vm_name=vault.name,
                operation=operation,
                status=JobStatus.IN_PROGRESS,
                started=START + timedelta(minutes=len(self._jobs)),
                report=self.report,
            )
        )

    def _start(
        self,
        item: ProtectedItem,
        operation: JobOperation,
        tasks: tuple[Task, ...] = (),
        parameters: dict[str, object] | None = None,
    ) -> Job:
        job = Job(
            id=uuid4(),
            vault_id=item.vault_id,
            item_id=item.id,
            vm_uuid=item.vm_uuid,
            vm_name=item.vm_name,
            operation=operation,
            status=JobStatus.IN_PROGRESS,
            started=START + timedelta(minutes=len(self._jobs)),
            tasks=tasks,
            parameters=parameters or {},
            report=self.report,
        )
        return self._add(job)

    def _add(self, job: Job) -> Job:
        self._jobs[job.id] = job
        if self.auto_finish:
            self.finish(job)
        return job


class FakeProtection:
    """The part of the service for the life of protection."""

    def __init__(self, service: FakeService) -> None:
        self._service = service

    def protect(
        self, vault: Vault, machine: VirtualMachine, policy_name: str, disks: DiskSelection | None = None
    ) -> Job:
        policy = self._service.policy(vault, policy_name)
        known = next((i for i in self._service.items(vault) if i.vm_uuid == machine.uuid), None)
        item = known or ProtectedItem(
            id=uuid4(),
            vault_id=vault.id,
            policy_id=policy.id,
            vm_uuid=machine.uuid,
            vm_name=machine.name,
            resource_group="default",
            state=ProtectionState.PENDING,
            created=START,
        )
        item = replace(item, policy_id=policy.id, state=ProtectionState.PENDING, disks=disks or item.disks)
        return self._changed(item, JobOperation.CONFIGURE_BACKUP)

    def stop(self, item: ProtectedItem, *, expire: bool = False) -> Job:
        state = ProtectionState.SUSPENDED if expire else ProtectionState.STOPPED
        return self._changed(replace(item, state=state), JobOperation.DISABLE_BACKUP)

    def delete_data(self, item: ProtectedItem) -> Job:
        """Keeps the data where the vault of the test was told to delete softly."""
        vault = next(v for v in self._service.vaults.every() if v.id == item.vault_id)
        if vault.rules.soft_delete is SoftDelete.DISABLED:
            del self._service._items[item.id]
            return self._service._start(item, JobOperation.DELETE_BACKUP_DATA)
        until = vault.rules.kept_until(START)
        deleted = replace(item, state=ProtectionState.STOPPED, deleted_until=until)
        return self._changed(deleted, JobOperation.DELETE_BACKUP_DATA)

    def undelete(self, item: ProtectedItem) -> Job:
        if item.deleted_until is None:
            raise RequestError("not deleted")
        return self._changed(replace(item, deleted_until=None), JobOperation.UNDELETE)

    def check_point_deletion(self, item: ProtectedItem, point_id: str) -> RecoveryPoint:
        point = self._service.recovery_point(item, point_id)
        if point == self._service.recovery_points(item)[-1]:
            raise NewestPointStays(f"Recovery point {point_id} is the newest.")
        return point

    def delete_point(self, item: ProtectedItem, point_id: str) -> RecoveryPoint | None:
        point = self.check_point_deletion(item, point_id)
        return self._put(item, replace(point, deleted_until=START + timedelta(days=14)))

    def undelete_point(self, item: ProtectedItem, point_id: str) -> RecoveryPoint:
        point = self._service.recovery_point(item, point_id)
        return self._put(item, replace(point, deleted_until=None))

    def _put(self, item: ProtectedItem, point: RecoveryPoint) -> RecoveryPoint:
        points = self._service._points[item.id]
        points[[each.id for each in points].index(point.id)] = point
        return point

    def _changed(self, item: ProtectedItem, operation: JobOperation) -> Job:
        self._service._items[item.id] = item
        return self._service._start(item, operation)


class FakeVaults:
    """The part of the service for whole vaults."""

    def __init__(self, service: FakeService) -> None:
        self._service = service
        self._vaults: dict[str, Vault] = {}
        self.asked: list[tuple[object, ...]] = []

    def every(self) -> list[Vault]:
        return list(self._vaults.values())

    def get(self, name: str) -> Vault:
        return self._vaults.get(name) or _missing("vault", name)

    def create(
        self, name: str, resource_group: str, url: str | None = None, key_reference: str | None = None
    ) -> Vault:
        if name in self._vaults:
            return self._vaults[name]
        vault = Vault(
            id=uuid4(),
            name=name,
            resource_group=resource_group,
            location=LOCATION,
            url=url or f"file:///vaults/{name}",
            key_kind=KeyKind.KEY_FILE,
            key_reference=key_reference or f"/vaults/{name}.key",
            created=START,
        )
        self._vaults[name] = vault
        for policy in default_policies(vault.id, uuid4):
            self._service.put_policy(vault, policy)
        return vault

    def attach(self, name: str, resource_group: str, url: str, key_reference: str) -> tuple[Vault, TakenIn]:
        return self.create(name, resource_group, url, key_reference), TakenIn(3, 2)

    def use_key(self, name: str, key_reference: str) -> Vault:
        self._vaults[name] = replace(self.get(name), key_reference=key_reference)
        return self._vaults[name]

    def upgrade_stack(self, name: str) -> Vault:
        self._vaults[name] = replace(self.get(name), stack=StackVersion.V2)
        return self._vaults[name]

    def set_rules(
        self,
        name: str,
        *,
        soft_delete: SoftDelete | None = None,
        soft_delete_days: int | None = None,
        immutability: Immutability | None = None,
    ) -> Vault:
        old = self.get(name).rules
        new = VaultRules(
            soft_delete or old.soft_delete,
            soft_delete_days or old.soft_delete_days,
            immutability or old.immutability,
        )
        old.check_change(new)
        self._vaults[name] = replace(self.get(name), rules=new)
        return self._vaults[name]

    def detach(self, name: str) -> None:
        del self._vaults[name]

    def delete(self, name: str) -> None:
        vault = self.get(name)
        if self._service.items(vault):
            raise VaultNotEmpty(f"Vault {name!r} still protects VMs.")
        del self._vaults[name]

    def verify(self, name: str, *, read_percent: float, point_id: str | None) -> Job:
        return self._start(name, JobOperation.VERIFY, read_percent, point_id)

    def repair(self, name: str, *, remove_lost: bool) -> Job:
        return self._start(name, JobOperation.REPAIR, remove_lost)

    def copy(self, name: str, target: str, point_ids: list[str] | None) -> Job:
        return self._start(name, JobOperation.COPY, target, point_ids)

    def clean_up(self, name: str) -> Job:
        return self._start(name, JobOperation.CLEAN_UP)

    def stats(self, name: str) -> tuple[VaultStats, int | None]:
        self.get(name)
        point = PointStats("p-1", SUBSCRIPTION, START, False, 3 * GIB, 2 * GIB, GIB, GIB)
        vm = VmStats(SUBSCRIPTION, "Web01", 1, 3 * GIB, 2 * GIB, GIB)
        objects = (ObjectStats("packs", 4, GIB),)
        return VaultStats(3 * GIB, 2 * GIB, 2 * GIB, 7, objects, (vm,), (point,)), 5 * GIB

    def recovery_points(self, name: str) -> dict[str, str]:
        self.get(name)
        return {"p-1": "1767234600000000"}

    def _start(self, name: str, operation: JobOperation, *asked: object) -> Job:
        self.asked.append((operation, *asked))
        return self._service.start_on_vault(self.get(name), operation)


class FakePoints:
    """The part of the service for restore points on the host: one collection of three points, and locks."""

    def __init__(self, service: FakeService) -> None:
        self._service = service
        self._locks: list[Lock] = []
        self.deleted: list[tuple[str, str | None]] = []
        collection = RestorePointCollection(
            uuid4(), "AzureBackupRG_Web01_1", "AzureBackupRG_local_1", uuid5(SUBSCRIPTION, "Web01")
        )
        disk = DiskCapture("vda", -1, GIB, ("/images/web01",), ("raw",), "/images/web01.overwinter-1")
        found = tuple(
            RestorePoint(uuid4(), collection.id, f"p{day}", created, Consistency.FILE_SYSTEM, 12, (disk,))
            for day in range(3)
            if (created := START + timedelta(days=day))
        )
        self.content = [CollectionContent(collection, found, frozenset({found[2].id}), ())]

    def groups(self) -> list[str]:
        return ["AzureBackupRG_local_1", "default"]

    def collections(self) -> list[CollectionContent]:
        return [
            replace(each, locks=tuple(lock for lock in self._locks if lock.scope.covers(_scope(each))))
            for each in self.content
        ]

    def collection(self, resource_group: str, name: str) -> CollectionContent:
        found = (c for c in self.collections() if LockScope(resource_group, name).covers(_scope(c)))
        return next(found, None) or _missing("collection", name)

    def delete_points(self, resource_group: str, name: str, point: str | None = None) -> Job:
        content = self.collection(resource_group, name)
        refuse(self._locks, Access.DELETE, [_scope(content)], "Restore points of Web01")
        self.deleted.append((content.collection.name, point))
        return self._service.start_on_vault(self._service.vaults.every()[0], JobOperation.DELETE_POINTS)

    def clean_up(self, item: ProtectedItem) -> Job:
        vault = next(vault for vault in self._service.vaults.every() if vault.id == item.vault_id)
        return self._service.start_on_vault(vault, JobOperation.CLEAN_UP_POINTS)

    def locks(self) -> list[Lock]:
        return list(self._locks)

    def lock(self, scope: LockScope, name: str) -> Lock:
        for lock in self._locks:
            if lock.name.casefold() == name.casefold() and str(lock.scope) == str(scope):
                return lock
        raise LockNotFound(f"There is no lock {name!r}.")

    def put_lock(self, scope: LockScope, name: str, level: LockLevel, notes: str | None) -> Lock:
        if scope.resource_group not in self.groups():
            raise ResourceGroupNotFound(f"There is no resource group {scope.resource_group!r}.")
        self._locks = [lock for lock in self._locks if (lock.name, str(lock.scope)) != (name, str(scope))]
        self._locks.append(Lock(uuid4(), name, level, notes, START, scope))
        return self._locks[-1]

    def delete_lock(self, scope: LockScope, name: str) -> None:
        self._locks.remove(self.lock(scope, name))


def _scope(content: CollectionContent) -> LockScope:
    return LockScope(content.collection.resource_group, content.collection.name)


def _missing(what: str, name: str) -> NoReturn:
    raise NotFound(f"There is no {what} {name!r}.")
