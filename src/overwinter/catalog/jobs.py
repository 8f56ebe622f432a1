"""Jobs and their tasks in the catalog."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from overwinter.catalog.database import Transaction
from overwinter.catalog.tables import job_tasks, jobs
from overwinter.model.errors import BackupOperationInProgress, NotFound
from overwinter.model.job import Job, JobError, JobOperation, JobStatus, Task, TaskStatus

ACTIVE = (JobStatus.IN_PROGRESS, JobStatus.CANCELLING)


def insert(tx: Transaction, job: Job) -> None:
    """Add a job with its tasks.

    Raises BackupOperationInProgress when another job that changes the VM's chain has not ended; the database
    itself guarantees it (a unique index), so two requests at once cannot both pass.
    """
    values: dict[str, Any] = dict(vars(job))
    values["errors"] = [vars(error) for error in job.errors]
    tasks = values.pop("tasks")
    try:
        with tx.begin_nested():
            tx.execute(jobs.insert().values(**values))
    except sa.exc.IntegrityError as error:
        in_the_way = [
            each
            for each in active(tx)
            if each.vm_uuid == job.vm_uuid and each.operation is not JobOperation.RESTORE
        ]
        is_here = any(each.vault_id == job.vault_id for each in in_the_way)
        cause = "C-JOB-RUNNING" if is_here else "C-JOB-OTHER-VAULT"
        raise BackupOperationInProgress(
            f"Another operation for {job.vm_name} is in progress. Wait for it to end "
            "(overwinter job list) or cancel it, then try again.",
            cause=cause if in_the_way else None,
        ) from error
    if tasks:
        tx.execute(
            job_tasks.insert(),
            [{"job_id": job.id, "position": i, **vars(task)} for i, task in enumerate(tasks)],
        )


def _tasks(tx: Transaction, job_ids: Sequence[UUID]) -> dict[UUID, list[Task]]:
    query = sa.select(job_tasks).where(job_tasks.c.job_id.in_(job_ids)).order_by(job_tasks.c.position)
    found: dict[UUID, list[Task]] = {}
    for row in tx.execute(query).mappings():
        values = {key: row[key] for key in ("name", "started", "ended", "done", "total")}
        found.setdefault(row["job_id"], []).append(Task(**values, status=TaskStatus(row["status"])))
    return found


def _select(tx: Transaction, *conditions: sa.ColumnElement[bool]) -> list[Job]:
    query = sa.select(jobs).where(*conditions).order_by(jobs.c.started.desc())
    rows = list(tx.execute(query).mappings())
    tasks = _tasks(tx, [row["id"] for row in rows])
    return [
        Job(
            **{
                **row,
                "operation": JobOperation(row["operation"]),
                "status": JobStatus(row["status"]),
                "tasks": tuple(tasks.get(row["id"], ())),
                "errors": tuple(JobError(**error) for error in row["errors"]),
            }
        )
        for row in rows
    ]


def get(tx: Transaction, job_id: UUID) -> Job:
    """One job. Raises NotFound."""
    found = _select(tx, jobs.c.id == job_id)
    if not found:
        raise NotFound(f"There is no job {job_id}. List them with: overwinter job list")
    return found[0]


def every(tx: Transaction, vault_id: UUID | None = None) -> list[Job]:
    """All jobs, or those of one vault, newest first."""
    return _select(tx, *([] if vault_id is None else [jobs.c.vault_id == vault_id]))


def active(tx: Transaction) -> list[Job]:
    """All jobs that have not ended."""
    return _select(tx, jobs.c.status.in_(ACTIVE))


def ended(
    tx: Transaction, operation: JobOperation, most: int, *, vault_id: UUID, item_id: UUID | None = None
) -> list[Job]:
    """The jobs of that kind in a vault, or of one item in it, that ended last, newest first."""
    which = [jobs.c.vault_id == vault_id] + ([] if item_id is None else [jobs.c.item_id == item_id])
    newest = (
        sa.select(jobs.c.id)
        .where(*which, jobs.c.operation == operation, jobs.c.ended.is_not(None))
        .order_by(jobs.c.ended.desc())
        .limit(most)
    )
    found = list(tx.execute(newest).scalars())
    return sorted(_select(tx, jobs.c.id.in_(found)), key=lambda job: job.ended or job.started, reverse=True)


def newest_of_machine(tx: Transaction, vm_uuid: UUID, most: int) -> list[Job]:
    """The jobs of a VM that started last, newest first, in whatever vault."""
    newest = sa.select(jobs.c.id).where(jobs.c.vm_uuid == vm_uuid).order_by(jobs.c.started.desc()).limit(most)
    return _select(tx, jobs.c.id.in_(list(tx.execute(newest).scalars())))


def last_of(tx: Transaction, vault_id: UUID, operation: JobOperation) -> Job | None:
    """The job of that kind in a vault that started last, or None."""
    newest = sa.select(sa.func.max(jobs.c.started)).where(
        jobs.c.vault_id == vault_id, jobs.c.operation == operation
    )
    found = _select(
        tx,
        jobs.c.vault_id == vault_id,
        jobs.c.operation == operation,
        jobs.c.started == newest.scalar_subquery(),
    )
    return found[0] if found else None


def parameters_of(tx: Transaction, vault_id: UUID, operation: JobOperation) -> list[dict[str, Any]]:
    """What was asked in every job of that kind in a vault, in any order."""
    query = sa.select(jobs.c.parameters).where(jobs.c.vault_id == vault_id, jobs.c.operation == operation)
    return list(tx.execute(query).scalars())


def is_cancelling(tx: Transaction, job_id: UUID) -> bool:
    """Whether a person asked to cancel the job."""
    query = sa.select(jobs.c.status).where(jobs.c.id == job_id)
    return bool(tx.execute(query).scalar_one() == JobStatus.CANCELLING)


def begin(tx: Transaction, job_id: UUID) -> bool:
    """Note that the job is being worked on; False when it has ended before it began."""
    query = jobs.update().where(jobs.c.id == job_id, jobs.c.status.in_(ACTIVE))
    return tx.execute(query.values(begun=True)).rowcount == 1


def request_cancel(tx: Transaction, job_id: UUID, *, now: datetime) -> bool:
    """Cancel a job that has not begun; mark one that has as to be cancelled. False when it is not running."""
    running = (jobs.c.id == job_id, jobs.c.status == JobStatus.IN_PROGRESS)
    waiting = jobs.update().where(*running, ~jobs.c.begun)
    if tx.execute(waiting.values(status=JobStatus.CANCELLED, ended=now)).rowcount == 1:
        return True
    return tx.execute(jobs.update().where(*running).values(status=JobStatus.CANCELLING)).rowcount == 1


def finish(
    tx: Transaction,
    job_id: UUID,
    *,
    status: JobStatus,
    ended: datetime,
    errors: Sequence[JobError],
    properties: dict[str, object],
    diagnosis: dict[str, Any] | None = None,
) -> None:
    """End a job: its status, its coded problems, and what people are shown; open tasks end with it."""
    job = get(tx, job_id)
    leftover = TaskStatus.CANCELLED if status is JobStatus.CANCELLED else TaskStatus.FAILED
    running = (job_tasks.c.job_id == job_id, job_tasks.c.status == TaskStatus.IN_PROGRESS)
    tx.execute(job_tasks.update().where(*running).values(status=leftover, ended=ended))
    values = {
        "status": status,
        "ended": ended,
        "errors": [vars(error) for error in errors],
        "properties": {**job.properties, **properties},
        "diagnosis": diagnosis,
    }
    tx.execute(jobs.update().where(jobs.c.id == job_id).values(**values))


def start_task(tx: Transaction, job_id: UUID, name: str, *, now: datetime, total: int | None = None) -> None:
    """A task begins (or begins again after a crash; its first start time stays)."""
    this = (job_tasks.c.job_id == job_id, job_tasks.c.name == name)
    done = None if total is None else 0
    tx.execute(
        job_tasks.update()
        .where(*this)
        .values(
            status=TaskStatus.IN_PROGRESS,
            started=sa.func.coalesce(job_tasks.c.started, now),
            ended=None,
            done=done,
            total=total,
        )
    )


def advance_task(tx: Transaction, job_id: UUID, name: str, done: int) -> None:
    """Bytes done so far."""
    this = (job_tasks.c.job_id == job_id, job_tasks.c.name == name)
    tx.execute(job_tasks.update().where(*this).values(done=done))


def settle_task(tx: Transaction, job_id: UUID, name: str, done: int) -> None:
    """Bytes done in the end, which the total was an estimate of."""
    this = (job_tasks.c.job_id == job_id, job_tasks.c.name == name)
    tx.execute(job_tasks.update().where(*this).values(done=done, total=done))


def end_task(tx: Transaction, job_id: UUID, name: str, *, status: TaskStatus, now: datetime) -> None:
    """A task ends."""
    this = (job_tasks.c.job_id == job_id, job_tasks.c.name == name)
    tx.execute(job_tasks.update().where(*this).values(status=status, ended=now))


def set_report(tx: Transaction, job_id: UUID, report: dict[str, object]) -> None:
    """What the job has found out."""
    tx.execute(jobs.update().where(jobs.c.id == job_id).values(report=report))


def set_diagnosis(tx: Transaction, job_id: UUID, diagnosis: dict[str, Any] | None) -> None:
    """What is behind the job's errors."""
    tx.execute(jobs.update().where(jobs.c.id == job_id).values(diagnosis=diagnosis))


def set_properties(tx: Transaction, job_id: UUID, properties: dict[str, object]) -> None:
    """Add to what people are shown of the job."""
    job = get(tx, job_id)
    tx.execute(jobs.update().where(jobs.c.id == job_id).values(properties={**job.properties, **properties}))
