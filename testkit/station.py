"""A service on real libvirt for tests: in this process, with its own directory and job queue."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from overwinter.catalog import jobs
from overwinter.jobs.explaining import Explain
from overwinter.jobs.service import Service
from overwinter.jobs.start import open_service
from overwinter.model.agent import DEFAULT_VERSIONS, AgentVersions
from overwinter.model.default_policies import new_policy, standard_content
from overwinter.model.extension import Extension, WithoutAgent
from overwinter.model.job import SCHEDULED, Job, JobOperation, JobStatus
from overwinter.model.point import Consistency, RecoveryPoint
from overwinter.model.policy import DEFAULT_POLICY, PolicyContent, PolicyType
from overwinter.model.profile import OVERWINTER, SupportProfile
from overwinter.model.protection import ProtectedItem, Vault
from overwinter.model.settings import DEFAULT_HYPERVISOR, Settings
from testkit.disks import convert, first_difference
from testkit.domains import TinyGuest
from testkit.ground import Ground
from testkit.waiting import wait_until

#: A backup waits for its object store for 4 minutes.
JOB_LIMIT_S = 400.0


@dataclass(frozen=True)
class Station:
    """A service with one vault, and what tests do with it."""

    ground: Ground
    service: Service
    vault: Vault
    directory: Path

    def ended(self, job: Job) -> Job:
        """The job once it has ended."""
        wait_until(
            lambda: self.service.job(job.id).status.is_final,
            f"{job.operation} of {job.vm_name} did not end",
            JOB_LIMIT_S,
        )
        return self.service.job(job.id)

    def completed(self, job: Job) -> Job:
        """The job once it has completed without a warning."""
        ended = self.ended(job)
        assert ended.status is JobStatus.COMPLETED, ended.errors
        assert all(task.done == task.total for task in ended.tasks), "what is over is done to 100 percent"
        return ended

    def protect(self, guest: TinyGuest, policy: str = DEFAULT_POLICY) -> ProtectedItem:
        """Protect a guest."""
        machine = self.service.machine(guest.name)
        self.completed(self.service.protect(self.vault, machine, policy))
        return self.service.item(self.vault, guest.name)

    def backup(self, item: ProtectedItem, *, expected: tuple[str, ...] = ()) -> RecoveryPoint:
        """Back up with just the expected warnings (their codes) and return the new point."""
        job = self.ended(self.service.backup(item, expires=None))
        assert job.status is (JobStatus.COMPLETED_WITH_WARNINGS if expected else JobStatus.COMPLETED), job
        assert tuple(error.code for error in job.errors) == expected
        return self.service.recovery_point(item, str(job.properties["recovery_point"]))

    def scheduled_backup(self, item: ProtectedItem) -> Job:
        """A backup as the scheduler starts it, ended."""
        asked: dict[str, object] = {SCHEDULED: datetime.now(UTC).isoformat()}
        return self.ended(self.service._start(item, JobOperation.BACKUP, asked))

    @contextmanager
    def job_in_former_vault(self, item: ProtectedItem) -> Iterator[None]:
        """While a job of a vault that protected the VM before has not ended."""
        former = self.service.vaults.create(f"former-{uuid4().hex[:6]}", "default")
        running = Job(
            uuid4(),
            former.id,
            None,
            item.vm_uuid,
            item.vm_name,
            JobOperation.DELETE_BACKUP_DATA,
            JobStatus.IN_PROGRESS,
            datetime.now(UTC),
        )
        catalog = self.service.runtime.catalog
        with catalog.transaction() as tx:
            jobs.insert(tx, running)
        yield
        with catalog.transaction() as tx:
            now = datetime.now(UTC)
            jobs.finish(tx, running.id, status=JobStatus.CANCELLED, ended=now, errors=(), properties={})

    def strict_policy(self) -> str:
        """A policy that requires file-system consistency."""
        content = standard_content(required_consistency=Consistency.FILE_SYSTEM)
        return self.put_policy("Strict", content)

    def agent_policy(self) -> str:
        """A policy that makes no point of a running VM without its guest agent."""
        content = replace(standard_content(), extension=Extension(without_agent=WithoutAgent.FAIL))
        return self.put_policy("Agent", content)

    def slow_policy(self, limit: int) -> str:
        """A policy under which a transfer reads at most so many bytes a second."""
        content = replace(standard_content(), extension=Extension(bandwidth_limit=limit))
        return self.put_policy("Slow", content)

    def crash_consistent_policy(self) -> str:
        """A policy that freezes no guest."""
        content = replace(standard_content(), type=PolicyType.V2, crash_consistent_only=True)
        return self.put_policy("Crash", content)

    def put_policy(self, name: str, content: PolicyContent) -> str:
        """Make or change a policy; gives its name."""
        policy = new_policy(uuid4(), self.vault.id, name, content)
        return self.service.put_policy(self.vault, policy).name

    def truth(self, guest: TinyGuest, target: str) -> Path:
        """An independent raw copy of the newest frozen content of a disk, made by qemu-img."""
        frozen = guest.chain(target)[1]
        copy = self.directory / f"truth-{uuid4().hex[:8]}.raw"
        convert(frozen, _format(frozen), copy)
        return copy

    def check_restore(self, point: RecoveryPoint, truths: dict[str, Path]) -> None:
        """Restore a point's disks and compare every byte with the truth."""
        directory = self.directory / f"restore-{uuid4().hex[:8]}"
        directory.mkdir(mode=0o755)
        self.completed(self.service.restore_disks(point, directory=directory))
        restored = {disk.target: disk for disk in self.service.manifest_disks(point)}
        assert restored.keys() == truths.keys()
        for target, truth in truths.items():
            image = directory / f"recovery-point-{point.id}-{target}.{restored[target].format}"
            raw = directory / f"{target}.check"
            convert(image, restored[target].format, raw)
            assert first_difference(truth, raw) is None, f"{target} of {point.id}"
            raw.unlink()


def _format(path: Path) -> str:
    return "raw" if path.name.endswith(".raw") else "qcow2"


@contextmanager
def open_station(
    ground: Ground,
    database: str | None = None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    hypervisor: str = DEFAULT_HYPERVISOR,
    profile: SupportProfile = OVERWINTER,
    explain: Explain | None = None,
    agent_versions: AgentVersions = DEFAULT_VERSIONS,
) -> Iterator[Station]:
    """A fresh service with one vault; ``explain`` as for `open_service`: most tests need no diagnosis."""
    name = uuid4().hex[:8]
    directory = ground.run.directory / f"station-{name}"
    directory.mkdir(mode=0o755)
    images = directory / "images"
    images.mkdir(mode=0o755)
    state = directory / "state"
    settings = Settings(f"host-{name}", state, images, hypervisor, database, profile, agent_versions)
    with open_service(settings, clock, explain) as service:
        yield Station(ground, service, service.vaults.create("vault1", "default"), directory)
