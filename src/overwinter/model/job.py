"""Jobs: one run of Backup, Restore, ConfigureBackup …, with tasks, progress, and on failure a code."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Self
from uuid import UUID, uuid4

from overwinter.model.errors import OverwinterError
from overwinter.model.protection import ProtectedItem

TAKE_SNAPSHOT = "Take Snapshot"
TRANSFER_DATA = "Transfer data to vault"
RESTORE_DISKS = "Restore disks"
CREATE_VM = "Create virtual machine"
VERIFY_VAULT = "Verify vault"
REPAIR_VAULT = "Repair vault"
COPY_POINTS = "Copy recovery points"
FREE_SPACE = "Free space in vault"
CLEAN_UP_POINTS = "Clean up restore points"
REPAIR_MACHINE = "Repair virtual machine"


#: Key of a backup's parameters: the moment for which its policy's schedule asked.
SCHEDULED = "scheduled"

#: In the place of a diagnosis that is being made.
PENDING: dict[str, Any] = {"pending": True}


class JobOperation(StrEnum):
    """What a job does, in the words of the ARM API; ours are the last seven.

    ``REPAIR`` is of a whole vault, ``REPAIR_MACHINE`` of a VM and its disk chains. The last two remove
    restore points from the host: those of a VM that have expired, or by hand.
    """

    CONFIGURE_BACKUP = "ConfigureBackup"
    BACKUP = "Backup"
    RESTORE = "Restore"
    DISABLE_BACKUP = "DisableBackup"
    DELETE_BACKUP_DATA = "DeleteBackupData"
    UNDELETE = "Undelete"
    VERIFY = "Verify"
    REPAIR = "Repair"
    COPY = "Copy"
    REPAIR_MACHINE = "RepairVirtualMachine"
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
    """A coded problem of a job: an error, or a warning of a job that completed.

    ``cause`` is the code book's id of what is behind it, where whoever met it has seen that.
    """

    code: str
    message: str
    cause: str | None = None

    @classmethod
    def of(cls, error: OverwinterError) -> Self:
        """The problem that an error tells of."""
        return cls(error.code, error.message, error.cause)


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

    def rate(self, now: datetime) -> float | None:
        """Mean bytes per second since it began; null before anything is done."""
        seconds = 0.0 if self.started is None else ((self.ended or now) - self.started).total_seconds()
        return self.done / seconds if self.done and seconds > 0 else None

    def remaining(self, now: datetime) -> timedelta | None:
        """How long it will take at that rate; null when it does not run or does not count bytes."""
        rate = self.rate(now)
        if self.status is not TaskStatus.IN_PROGRESS or not rate or self.total is None:
            return None
        return timedelta(seconds=max(0, self.total - (self.done or 0)) / rate)


@dataclass(frozen=True)
class Job:
    """One job.

    ``parameters`` is what was asked, ``properties`` what people are shown (size, consistency, target …);
    both hold strings, numbers, booleans and nulls only. ``report`` is a JSON document of what was found,
    where a job exists to find something out. ``item_id`` is null for jobs on a whole vault: ``vm_uuid`` and
    ``vm_name`` are the vault's then. A job that has not ``begun`` waits for its turn. ``diagnosis`` is a JSON
    document of what is behind its errors; ``PENDING`` while that is being found out, null where nobody did.
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
    begun: bool = False
    diagnosis: dict[str, Any] | None = None

    @classmethod
    def of_item(
        cls,
        item: ProtectedItem,
        operation: JobOperation,
        *,
        started: datetime,
        tasks: tuple[str, ...] = (),
        parameters: dict[str, object] | None = None,
    ) -> Self:
        """A new job on a protected item, with tasks of these names."""
        return cls(
            id=uuid4(),
            vault_id=item.vault_id,
            item_id=item.id,
            vm_uuid=item.vm_uuid,
            vm_name=item.vm_name,
            operation=operation,
            status=JobStatus.IN_PROGRESS,
            started=started,
            tasks=tuple(Task(name) for name in tasks),
            parameters=parameters or {},
        )

    @property
    def is_being_diagnosed(self) -> bool:
        """Whether somebody is finding out what is behind its errors."""
        return self.diagnosis == PENDING

    @property
    def is_scheduled(self) -> bool:
        """Whether a schedule asked for the job, not a person."""
        return SCHEDULED in self.parameters

    def remaining(self, now: datetime) -> timedelta | None:
        """How long the task that moves bytes now will take, at its mean speed so far; null when none does."""
        estimates = (task.remaining(now) for task in self.tasks)
        return next((estimate for estimate in estimates if estimate is not None), None)
