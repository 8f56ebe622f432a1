"""The doctor of a service: looks at one VM when asked, and says what it found."""

import tempfile
from contextlib import ExitStack
from typing import IO, Any

from overwinter.doctor.bundle.bundle import write_bundle
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

    def bundle(self, vm: str) -> IO[bytes]:
        """The support bundle of the VM: an open zip file without a name, for the caller to read and close.

        Bounded in time and size. Raises NotFound when neither libvirt nor the catalog knows the VM.
        """
        with ExitStack() as on_failure:
            file = on_failure.enter_context(tempfile.TemporaryFile())
            write_bundle(self._runtime, vm, file)
            file.seek(0)
            on_failure.pop_all()
        return file


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
