"""Jobs: one run of Backup, Restore, ConfigureBackup …, with tasks, progress, and on failure a code."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

TAKE_SNAPSHOT = "Take Snapshot"
TRANSFER_DATA = "Transfer data to vault"
RESTORE_DISKS = "Restore disks"
CREATE_VM = "Create virtual machine"
VERIFY_VAULT = "Verify vault"
REPAIR_VAULT = "Repair vault"
COPY_POINTS = "Copy recovery points"
FREE_SPACE = "Free space in vault"
CLEAN_UP_POINTS = "Clean up restore points"


class JobOperation(StrEnum):
    """What a job does, in the words of the ARM API; ours are the last six.

    The last two remove restore points from the host: those of a VM that have expired, or by hand.
    """

    CONFIGURE_BACKUP = "ConfigureBackup"
    BACKUP = "Backup"
    RESTORE = "Restore"
    DISABLE_BACKUP = "DisableBackup"
    DELETE_BACKUP_DATA = "DeleteBackupData"
    VERIFY = "Verify"
    REPAIR = "Repair"
    COPY = "Copy"
    CLEAN_UP = "CleanUp"
    CLEAN_UP_POINTS = "CleanUpRestorePoints"
    DELETE_POINTS = "DeleteRestorePoints"


class JobStatus(StrEnum):
    """State of a job, in the words of the ARM API."""

    IN_PROGRESS = "InProgress"
    CANCELLING = "Cancelling"
    COMPLETED = "Completed"
    COMPLETED_WITH_WARNINGS = "CompletedWithWarnings"
    FAILED = "Failed"
    CANCELLED = "Cancelled"

    @property
    def is_final(self) -> bool:
        """Whether the job has ended."""
        return self not in (JobStatus.IN_PROGRESS, JobStatus.CANCELLING)


class TaskStatus(StrEnum):
    """State of one task of a job."""

    NOT_STARTED = "NotStarted"
    IN_PROGRESS = "InProgress"
    COMPLETED = "Completed"
    FAILED = "Failed"
    SKIPPED = "Skipped"
    CANCELLED = "Cancelled"


@dataclass(frozen=True)
class JobError:
    """A coded problem of a job: an error, or a warning of a job that completed."""

    code: str
    message: str


@dataclass(frozen=True)
class Task:
    """One task of a job. ``done`` and ``total`` are bytes where bytes are moved, else null."""

    name: str
    status: TaskStatus = TaskStatus.NOT_STARTED
    started: datetime | None = None
    ended: datetime | None = None
    done: int | None = None
    total: int | None = None

    @property
    def percent(self) -> float | None:
        """Progress from 0 to 100, or null where the task does not count bytes."""
        if self.done is None or self.total is None:
            return None
        return 100.0 if self.total == 0 else min(100.0, 100.0 * self.done / self.total)


@dataclass(frozen=True)
class Job:
    """One job.

    ``parameters`` is what was asked, ``properties`` what people are shown (size, consistency, target …);
    both hold strings, numbers, booleans and nulls only. ``report`` is a JSON document of what was found,
    where a job exists to find something out. ``item_id`` is null for jobs on a whole vault: ``vm_uuid`` and
    ``vm_name`` are the vault's then.
    """

    id: UUID
    vault_id: UUID
    item_id: UUID | None
    vm_uuid: UUID
    vm_name: str
    operation: JobOperation
    status: JobStatus
    started: datetime
    ended: datetime | None = None
    tasks: tuple[Task, ...] = ()
    errors: tuple[JobError, ...] = ()
    parameters: dict[str, object] = field(default_factory=dict)
    properties: dict[str, object] = field(default_factory=dict)
    report: dict[str, object] | None = None
