"""The doctor of a service: looks at one VM when asked, and says what it found."""

from typing import Any

from overwinter.doctor.collect import collect
from overwinter.doctor.diagnosis_record import record
from overwinter.doctor.facts import Facts
from overwinter.doctor.report import Report, examine
from overwinter.jobs.runtime import Runtime
from overwinter.model.errors import NotFound
from overwinter.model.job import Job


class Doctor:
    """Examines VMs of a running service. Safe to call from many threads; changes nothing."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def examine(self, vm: str) -> Report:
        """All checks over the present facts of the VM of that name or UUID; bounded in time.

        Raises NotFound when neither libvirt nor the catalog knows it.
        """
        return examine(collect(self._runtime, vm))


def explain(runtime: Runtime, job: Job) -> dict[str, Any]:
    """What was behind the errors of a job that has just ended, by the facts of its VM now: a record."""
    return record(job.errors, runtime.settings.profile.edition, _facts(runtime, job))


def _facts(runtime: Runtime, job: Job) -> Facts | None:
    """None for a job on a whole vault, and for a VM of which nothing is left."""
    if job.item_id is None:
        return None
    try:
        return collect(runtime, str(job.vm_uuid))
    except NotFound:
        return None
