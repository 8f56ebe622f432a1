"""Another try of a job that failed for a reason that may pass: when, and waiting for it.

Scheduled backups are tried again, with growing pauses; of a backup that a person asked for the failure is
told at once. When a try is due is kept in the job, so that a service that dies meanwhile waits for the rest
only.
"""

import time
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from overwinter.catalog import jobs as job_table
from overwinter.codebook import book
from overwinter.jobs.progress import TaskReporter
from overwinter.jobs.runtime import Runtime
from overwinter.jobs.snapshot import RECOVERY_POINT, RESTORE_POINT
from overwinter.model.job import Job, JobError

log = structlog.get_logger(__name__)

#: In a job's parameters: how many more tries it has. In its properties: tries that were made, and when the
#: next one is due.
RETRIES = "retries"
_MADE = "retries_made"
_DUE = "retry_at"

#: Seconds before each further try; the last one holds for all after it.
PAUSES_S = (60.0, 300.0, 900.0)

#: How often a waiting job looks whether it was cancelled, in seconds.
_LOOK_S = 0.5


def plan(runtime: Runtime, job_id: UUID, error: JobError) -> bool:
    """Whether the job is to be tried again after this error; notes when."""
    entry = book.find(error.code)
    with runtime.catalog.transaction() as tx:
        job = job_table.get(tx, job_id)
        made = int(str(job.properties.get(_MADE, 0)))
        if _due(job) is not None:
            return True  # planned before a crash
        if entry is None or not entry.retryable or made >= int(str(job.parameters.get(RETRIES) or 0)):
            return False
        pause = PAUSES_S[min(made, len(PAUSES_S) - 1)]
        due = runtime.clock() + timedelta(seconds=pause)
        noted: dict[str, object] = {_MADE: made + 1, _DUE: due.isoformat()}
        if job.properties.get(RECOVERY_POINT) is None:
            noted[RESTORE_POINT] = None  # what was taken was not good enough
        job_table.set_properties(tx, job_id, noted)
    log.info("job is tried again", job=str(job_id), vm=job.vm_name, code=error.code, at=due.isoformat())
    return True


def wait(runtime: Runtime, job_id: UUID) -> None:
    """Wait until the next try is due. Raises JobCancelled."""
    reporter = TaskReporter(runtime, job_id, "")
    with runtime.catalog.transaction() as tx:
        due = _due(job_table.get(tx, job_id))
    while due is not None and runtime.clock() < due:
        reporter.check()
        time.sleep(_LOOK_S)
    with runtime.catalog.transaction() as tx:
        job_table.set_properties(tx, job_id, {_DUE: None})


def _due(job: Job) -> datetime | None:
    due = job.properties.get(_DUE)
    return None if due is None else datetime.fromisoformat(str(due))
