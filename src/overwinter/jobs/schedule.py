"""The scheduler: starts the backups that policies ask for, each once, whatever happens to the service.

How far an item has come is in the catalog (``catalog/schedules.py``), and goes forward in the transaction
that enters the job: no crash starts a run twice or loses one. What was missed while the service was down is
caught up once. A run whose VM is busy is missed: its job fails at once.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime

import structlog

from overwinter.catalog import items, policies, schedules
from overwinter.catalog import jobs as job_table
from overwinter.jobs.retry import RETRIES
from overwinter.jobs.runtime import Runtime
from overwinter.model.due import ScheduledItem, done_too_far, due
from overwinter.model.errors import BackupOperationInProgress
from overwinter.model.job import SCHEDULED, Job, JobError, JobOperation, JobStatus
from overwinter.model.protection import ProtectedItem

log = structlog.get_logger(__name__)

#: Seconds between two looks at what is due.
INTERVAL_S = 2.0

NewJob = Callable[[ProtectedItem, JobOperation, dict[str, object]], Job]


class Scheduler:
    """Looks at what is due, and starts it. ``new_job`` makes a job, ``enqueue`` hands it to the engine."""

    def __init__(self, runtime: Runtime, new_job: NewJob, enqueue: Callable[[Job], None]) -> None:
        self._runtime = runtime
        self._new_job = new_job
        self._enqueue = enqueue
        self._since = runtime.clock()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Look every few seconds, within the block."""
        end = threading.Event()
        thread = threading.Thread(target=self._run, args=(end,), name="scheduler", daemon=True)
        thread.start()
        try:
            yield
        finally:
            end.set()
            thread.join()

    def _run(self, end: threading.Event) -> None:
        while not end.wait(INTERVAL_S):
            try:
                self.look()
            except Exception:
                # A database that is away for a while must not end all backups for good.
                log.exception("what is due could not be started; the next look tries again")

    def look(self) -> list[Job]:
        """Start everything that is due now. Returns the jobs, those that failed at once among them."""
        now = self._runtime.clock()
        active = self._items(now)
        by_id = {item.id: (item, each.policy.extension.retries) for item, each in active}
        wanted = due([each for _, each in active], now=now, since=min(self._since, now))
        return [self._start(*by_id[item_id], moment) for item_id, moment in wanted]

    def _items(self, now: datetime) -> list[tuple[ProtectedItem, ScheduledItem]]:
        """The active items, each with how far it has come; one that is new begins now."""
        with self._runtime.catalog.transaction() as tx:
            done = schedules.done_until(tx)
            active = [item for item in items.every(tx) if item.is_active]
            contents = {
                policy_id: policies.get_by_id(tx, policy_id).content
                for policy_id in {item.policy_id for item in active}
            }
            schedules.forget(tx, done.keys() - {item.id for item in active})
            found = []
            for item in active:
                each = ScheduledItem(item.id, contents[item.policy_id], done.get(item.id, now))
                if item.id not in done or done_too_far(each, now):
                    schedules.set_done(tx, item.id, now)
                    each = replace(each, done_until=now)
                found.append((item, each))
        return found

    def _start(self, item: ProtectedItem, retries: int, moment: datetime) -> Job:
        asked: dict[str, object] = {SCHEDULED: moment.isoformat(), RETRIES: retries}
        job = self._new_job(item, JobOperation.BACKUP, asked)
        with self._runtime.catalog.transaction() as tx:
            schedules.set_done(tx, item.id, moment)
            try:
                job_table.insert(tx, job)
            except BackupOperationInProgress as error:
                job = self._missed(job, error)
                job_table.insert(tx, job)
        if job.status.is_final:
            log.warning("scheduled backup missed", job=str(job.id), vm=job.vm_name, code=job.errors[0].code)
        else:
            log.info(
                "scheduled backup started", job=str(job.id), vm=job.vm_name, scheduled=moment.isoformat()
            )
            self._enqueue(job)
        return job

    def _missed(self, job: Job, error: BackupOperationInProgress) -> Job:
        problem = JobError.of(error)
        return replace(job, status=JobStatus.FAILED, ended=self._runtime.clock(), tasks=(), errors=(problem,))
