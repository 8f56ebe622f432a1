"""What was behind a job's failure, found out right after its end and kept with it.

Who finds it out is given from above (`Explain`): the doctor looks at a running service, so it cannot live
down here. The job has ended by then. Whatever goes wrong is logged, and costs nothing but the explanation.
"""

import threading
from collections.abc import Callable
from typing import Any
from uuid import UUID

import structlog

from overwinter.catalog import jobs as job_table
from overwinter.jobs.runtime import Runtime
from overwinter.model.errors import NotFound
from overwinter.model.job import Job

log = structlog.get_logger(__name__)

#: Gives the diagnosis of a job that has ended with errors: a JSON document without words of any language.
Explain = Callable[[Runtime, Job], dict[str, Any]]

#: Seconds to wait for it. It holds up the next job of the same VM, so that the VM is seen as it was left.
LIMIT_S = 60.0


def attach(runtime: Runtime, job_id: UUID, explain: Explain, limit_s: float = LIMIT_S) -> None:
    """Keep the explanation of a job that waits for one with it; none when there is none in time.

    Raises CatalogUnavailable; whatever the explanation itself raises is logged.
    """
    try:
        with runtime.catalog.transaction() as tx:
            job = job_table.get(tx, job_id)
    except NotFound:
        return  # its vault was forgotten, and its jobs with it
    if not job.is_being_diagnosed:
        return
    diagnosis = _within(limit_s, lambda: explain(runtime, job))
    with runtime.catalog.transaction() as tx:
        job_table.set_diagnosis(tx, job_id, diagnosis)


def _within(limit_s: float, find_out: Callable[[], dict[str, Any]]) -> dict[str, Any] | None:
    """What is found out in that time, in a thread that is left behind when it takes longer; null: nothing."""
    found: list[dict[str, Any]] = []

    def run() -> None:
        try:
            found.append(find_out())
        except Exception:
            log.exception("a failure could not be explained")

    thread = threading.Thread(target=run, name="explaining", daemon=True)
    thread.start()
    thread.join(limit_s)
    if not found:
        log.warning("a failure stays unexplained", limit_s=limit_s)
    return found[0] if found else None
