"""Steps 3 and 4 in the guest: what Windows' shadow copies stand on, and what keeps the agent from working."""

from overwinter.doctor.check import Check, Finding, Step, failed, passed, warned
from overwinter.doctor.facts import Facts, WindowsService
from overwinter.model.agent import SystemFamily

#: State of a VSS writer that is ready.
_STABLE = 1

_RUNNING, _DISABLED = "Running", "Disabled"

#: How Windows calls the account in its several spellings.
_NETWORK_SERVICE = "networkservice"


def com(facts: Facts) -> Finding | None:
    """COM+ can be used: its service runs, or starts when it is needed."""
    service = facts.windows.get().services.get("COMSysApp")
    if service is None:
        return None
    if service.state == _RUNNING:
        return passed()
    return failed("disabled") if service.start == _DISABLED else warned("stopped")


def msdtc(facts: Facts) -> Finding | None:
    """The transaction coordinator runs, under its own account."""
    service = facts.windows.get().services.get("MSDTC")
    if service is None:
        return None
    if service.state != _RUNNING:
        return failed("stopped", state=service.state)
    account = "".join(service.account.casefold().split())
    return passed() if account.endswith(_NETWORK_SERVICE) else failed("account", account=service.account)


def writers(facts: Facts) -> Finding | None:
    """Shadow copies can be made, and every writer is stable."""
    guest = facts.windows.get()
    service: WindowsService | None = guest.services.get("VSS")
    if service is not None and service.start == _DISABLED:
        return failed("disabled")
    if guest.writers is None:
        return None
    unstable = sum(1 for state in guest.writers if state != _STABLE)
    return failed("unstable", unstable=unstable, writers=len(guest.writers)) if unstable else passed()


def faults(facts: Facts) -> Finding | None:
    """The agent did not crash within a day."""
    found = facts.windows.get().faults
    if found is None:
        return None
    return warned("crashed", count=found) if found else passed()


def crashes(facts: Facts) -> Finding | None:
    """The agent did not crash within a day, by what systemd has collected."""
    found = facts.linux.get().crashes
    if found is None:
        return None
    return warned("crashed", count=found) if found else passed()


def exclusions(facts: Facts) -> Finding | None:
    """Where the agent crashes under an antivirus program, that leaves it alone."""
    guest = facts.windows.get()
    if guest.antivirus is None:
        return None
    if not guest.antivirus or guest.excluded or not guest.faults:
        return passed()
    return warned("missing")


def application_control(facts: Facts) -> Finding | None:
    """AppLocker has not kept the agent from running."""
    blocked = facts.windows.get().blocked
    if blocked is None:
        return None
    return failed("blocked", count=blocked) if blocked else passed()


def denials(facts: Facts) -> Finding | None:
    """SELinux has not refused the agent anything."""
    found = facts.linux.get().denials
    if found is None:
        return None
    return warned("denied", count=found) if found else passed()


_LINUX, _WINDOWS = SystemFamily.LINUX, SystemFamily.WINDOWS

CHECKS = (
    Check("H3.2", Step.EXTENSIONS, com, ("C-COM",), _WINDOWS),
    Check("H3.3", Step.EXTENSIONS, msdtc, ("C-COM",), _WINDOWS),
    Check("H4.2", Step.BACKUP, faults, ("C-AV",), _WINDOWS),
    Check("H4.2a", Step.BACKUP, crashes, ("C-AGENT-ERROR",), _LINUX),
    Check("H4.3", Step.BACKUP, exclusions, ("C-AV",), _WINDOWS),
    Check("H4.4", Step.BACKUP, application_control, ("C-APPCTRL",), _WINDOWS),
    Check("H4.4a", Step.BACKUP, denials, ("C-SELINUX",), _LINUX),
    Check("H4.12", Step.BACKUP, writers, ("C-VSS-WRITER", "C-VSS-SERVICE"), _WINDOWS),
)
