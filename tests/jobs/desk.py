"""Protection without a VM: real catalog, real engine and real vaults; a backup is a record and 4 KiB.

Jobs run at once, in the thread of the caller. The VM exists for whoever protects it and not for libvirt, so
its chain is nobody's concern here.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

from dbos import SetWorkflowID

from overwinter.catalog import items, points, vaults
from overwinter.catalog import jobs as job_table
from overwinter.catalog.database import Catalog
from overwinter.hypervisor.connection import Hypervisor
from overwinter.jobs import engine
from overwinter.jobs.engine import JobEngine
from overwinter.jobs.runtime import Runtime
from overwinter.jobs.service import Service
from overwinter.jobs.transfer import _lock
from overwinter.jobs.upkeep import Upkeep
from overwinter.jobs.vault_stores import VaultStores
from overwinter.model.default_policies import new_policy, standard_content
from overwinter.model.extent import Extent
from overwinter.model.job import Job, JobStatus
from overwinter.model.names import recovery_point_id
from overwinter.model.point import Consistency, RecoveryPoint
from overwinter.model.policy import Policy
from overwinter.model.protection import ProtectedItem, Vault
from overwinter.model.settings import Settings
from overwinter.model.vm import Disk, Firmware, ImageLayer, PowerState, VirtualMachine
from overwinter.vault import Manifest, ManifestDisk, VaultStore

START = datetime(2026, 3, 1, 2, 30, tzinfo=UTC)
DAY = timedelta(days=1)
SIZE = 4096


class Clock:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


class _AtOnce:
    """Takes the engine's place: a job has ended when it was enqueued."""

    def __init__(self, real: JobEngine) -> None:
        self._real = real

    def enqueue(self, job: Job) -> None:
        with SetWorkflowID(str(job.id)):
            self._real._workflows[job.operation](str(job.id))


class Desk:
    """A service whose jobs run at once, and what tests do with it."""

    def __init__(self, runtime: Runtime, job_engine: JobEngine, clock: Clock) -> None:
        self.runtime = runtime
        self.clock = clock
        at_once: JobEngine = _AtOnce(job_engine)  # type: ignore[assignment]
        self.service = Service(runtime, at_once, str(uuid4()))
        self.upkeep = Upkeep(runtime, self.service.vaults, self.service.points)

    def vault(self) -> Vault:
        """A new vault."""
        return self.service.vaults.create(f"v{uuid4().hex[:8]}", "default")

    def policy(self, vault: Vault, name: str, days: int) -> Policy:
        """A policy that keeps points for some days."""
        content = standard_content(instant_days=1, daily_days=days)
        return self.service.put_policy(vault, new_policy(uuid4(), vault.id, name, content))

    def protect(self, vault: Vault, machine: VirtualMachine, policy: str = "DefaultPolicy") -> ProtectedItem:
        """Protect a VM; the item."""
        self.completed(self.service.protect(vault, machine, policy))
        return self.item(vault, machine)

    def item(self, vault: Vault, machine: VirtualMachine) -> ProtectedItem:
        """The item of a VM in a vault, as it is now."""
        return self.service.item(vault, machine.name)

    def store(self, vault: Vault) -> VaultStore:
        """The vault's store."""
        return self.runtime.vaults.open(vault)

    def completed(self, job: Job) -> Job:
        """The job, which has completed; that the VM is gone from libvirt is the one warning allowed."""
        ended = self.service.job(job.id)
        assert ended.status in (JobStatus.COMPLETED, JobStatus.COMPLETED_WITH_WARNINGS), ended.errors
        assert {error.code for error in ended.errors} <= {"ResourceNotFound"}, ended.errors
        return ended

    def backup(self, item: ProtectedItem, expires: datetime | None) -> RecoveryPoint:
        """A recovery point in the vault tier, as a backup leaves it."""
        self.clock.now += timedelta(seconds=1)
        now = self.clock.now
        vault = next(each for each in self.service.vaults.every() if each.id == item.vault_id)
        with self.runtime.catalog.transaction() as tx:
            wanted = points.free_recovery_point_id(tx, recovery_point_id(now))
        store, name = self.store(vault), str(uuid4())
        with store.session(name) as session:
            disk_map = session.store_disk(
                target="vda", size=SIZE, extents=[Extent(0, SIZE)], read=_content(name), parent=None
            )
            manifest = Manifest(
                point_id=name,
                vm_uuid=item.vm_uuid,
                vm_name=item.vm_name,
                created=now,
                consistency=Consistency.CRASH,
                disks=(ManifestDisk("vda", -1, SIZE, "raw", None, disk_map),),
                domain_xml="<domain/>",
                expires=expires,
            )
            session.commit(manifest)
        _lock(store, manifest)
        point = RecoveryPoint(wanted, item.id, now, Consistency.CRASH, expires, None, name)
        with self.runtime.catalog.transaction() as tx:
            points.put_recovery_point(tx, point)
            items.record_backup(tx, item.id, started=now, status="Completed", point=now)
        return point

    def days_pass(self, days: float) -> None:
        """Time goes on, and upkeep looks."""
        self.clock.now += timedelta(days=days)
        self.look()

    def look(self) -> None:
        """Upkeep looks; whatever it started has completed."""
        before = {job.id for job in self.service.jobs()}
        self.upkeep.look()
        for job in self.service.jobs():
            if job.id not in before:
                self.completed(job)

    def clear(self) -> None:
        """Forget all vaults with what is in them, so that upkeep has nothing to do with them later."""
        with self.runtime.catalog.transaction() as tx:
            for vault in vaults.every(tx):
                for item in items.every(tx, vault.id):
                    items.delete(tx, item.id)
                vaults.delete(tx, vault.id)
        self.runtime.vaults.close()

    def newest_job(self, item_id: UUID | None) -> Job:
        """The job of an item that started last."""
        with self.runtime.catalog.transaction() as tx:
            return next(job for job in job_table.every(tx) if job.item_id == item_id)


def _content(name: str):
    def read(offset: int, buffer: memoryview) -> None:
        text = (name.encode() * (SIZE // len(name) + 1))[offset : offset + len(buffer)]
        buffer[:] = text

    return read


def make_machine(data_disks: int = 2) -> VirtualMachine:
    """A VM with an operating-system disk and some data disks."""
    name = f"vm-{uuid4().hex[:8]}"
    disks = tuple(
        Disk(f"vd{'abcd'[number]}", number - 1, SIZE, (ImageLayer(f"/nowhere/{name}-{number}", "raw"),))
        for number in range(data_disks + 1)
    )
    return VirtualMachine(uuid4(), name, PowerState.STOPPED, True, 1, 1 << 30, Firmware.BIOS, disks)


@contextmanager
def open_desk(directory: Path) -> Iterator[Desk]:
    """A fresh service."""
    clock = Clock()
    settings = Settings(directory=directory, images=directory, host=f"host-{uuid4().hex[:8]}")
    runtime = Runtime(
        settings=settings,
        catalog=Catalog(settings.catalog_url),
        hypervisor=Hypervisor(settings.hypervisor),
        vaults=VaultStores(directory / "cache"),
        clock=clock,
    )
    try:
        runtime.catalog.migrate()
        job_engine = engine.configure(runtime)
        try:
            job_engine.launch()
            yield Desk(runtime, job_engine, clock)
        finally:
            engine.shut_down()
    finally:
        runtime.close()
