"""The doctor of a service: looks at one VM when asked, and says what it found."""

from overwinter.doctor.collect import collect
from overwinter.doctor.report import Report, examine
from overwinter.jobs.runtime import Runtime


class Doctor:
    """Examines VMs of a running service. Safe to call from many threads; changes nothing."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def examine(self, vm: str) -> Report:
        """All checks over the present facts of the VM of that name or UUID; bounded in time.

        Raises NotFound when neither libvirt nor the catalog knows it.
        """
        return examine(collect(self._runtime, vm))
