"""Tasks of a job as they happen, written to the catalog; and how a job learns that it must stop."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from overwinter.catalog import jobs as job_table
from overwinter.jobs.runtime import Runtime
from overwinter.model.errors import JobCancelled
from overwinter.model.job import TaskStatus

#: Progress is written, and a wish to cancel is looked for, at most this often.
INTERVAL_S = 0.5


class TaskReporter:
    """Counts the bytes of one task and notices cancellation. Safe to call from many threads, often.

    ``total`` may be an estimate: no more than that is shown as done before the end.
    """

    def __init__(self, runtime: Runtime, job_id: UUID, task: str, total: int | None = None) -> None:
        self._runtime = runtime
        self._job_id = job_id
        self._task = task
        self._total = total
        self._lock = threading.Lock()
        self._done = 0
        self._written = time.monotonic()
        self._checked = float("-inf")
        self._cancelled = False

    def reach(self, done: int) -> None:
        """``done`` bytes of the task are done."""
        with self._lock:
            self._done = done
            if time.monotonic() - self._written < INTERVAL_S:
                return
            self._written = time.monotonic()
        self._write(done if self._total is None else min(done, self._total))

    def _write(self, done: int) -> None:
        with self._runtime.catalog.transaction() as tx:
            job_table.advance_task(tx, self._job_id, self._task, done)

    def settle(self, *, completed: bool) -> None:
        """Write the count as it is now; it is the total when the task has completed."""
        write = job_table.settle_task if completed else job_table.advance_task
        with self._runtime.catalog.transaction() as tx:
            write(tx, self._job_id, self._task, self._done)

    def check(self) -> None:
        """Raise JobCancelled when a person asked to cancel the job, by what was known a moment ago."""
        self._check(INTERVAL_S)

    def check_now(self) -> None:
        """Raise JobCancelled when a person has asked until now; for before what cannot be undone."""
        self._check(0)

    def _check(self, interval: float) -> None:
        with self._lock:
            if not self._cancelled and time.monotonic() - self._checked >= interval:
                self._checked = time.monotonic()
                with self._runtime.catalog.transaction() as tx:
                    self._cancelled = job_table.is_cancelling(tx, self._job_id)
            if self._cancelled:
                raise JobCancelled("The job was cancelled.")


@contextmanager
def task(runtime: Runtime, job_id: UUID, name: str, total: int | None = None) -> Iterator[TaskReporter]:
    """One task of a job: in progress within the block, then completed, failed or cancelled."""
    with runtime.catalog.transaction() as tx:
        job_table.start_task(tx, job_id, name, now=runtime.clock(), total=total)
    reporter = TaskReporter(runtime, job_id, name, total)
    status = TaskStatus.FAILED
    try:
        yield reporter
        status = TaskStatus.COMPLETED
    except JobCancelled:
        status = TaskStatus.CANCELLED
        raise
    finally:
        if total is not None:
            reporter.settle(completed=status is TaskStatus.COMPLETED)
        with runtime.catalog.transaction() as tx:
            job_table.end_task(tx, job_id, name, status=status, now=runtime.clock())
