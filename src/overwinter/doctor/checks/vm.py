"""Step 1: the VM as libvirt and the guest see it."""

from datetime import timedelta

from overwinter.doctor.check import Check, Finding, Step, failed, passed, warned
from overwinter.doctor.fact import Unknown
from overwinter.doctor.facts import Facts
from overwinter.model.agent import AgentState, SystemFamily
from overwinter.model.point import Consistency
from overwinter.model.vm import PowerState, VirtualMachine

#: Seconds after which libvirt answers late.
SLOW_S = 3.0

#: A guest's clock this far off writes misleading times; this far, it is no clock any more.
DRIFT_SEEN = timedelta(seconds=60)
DRIFT_GREAT = timedelta(hours=1)


def libvirt_answers(facts: Facts) -> Finding:
    """Whether the host's libvirt answers, and soon."""
    if isinstance(facts.connection, Unknown):
        return failed("away", why=facts.connection.reason)
    seconds = facts.connection.get()
    return warned("slow", seconds=f"{seconds:.1f}") if seconds > SLOW_S else passed(seconds=f"{seconds:.1f}")


def power_state(facts: Facts) -> Finding:
    """Running or off, and nothing has stopped it."""
    machine = facts.machine.get()
    if machine is None:
        return failed("gone")
    if machine.failure:
        return failed("failed", failure=machine.failure)
    if machine.state is PowerState.RUNNING:
        return passed("running")
    if machine.state is PowerState.STOPPED:
        return _off(facts)
    if machine.state is PowerState.PAUSED:
        return failed("paused")
    return failed("changing", state=machine.state.value)


def _off(facts: Facts) -> Finding:
    """A VM that is off gets crash-consistent points, which is well unless somebody wants more."""
    protection = facts.records.get().protection
    if protection is not None:
        required = protection.policy.required_consistency
        if not Consistency.CRASH.satisfies(required):
            return failed("off_under_policy", required=required.value, policy=protection.policy.name)
    return (
        warned("off_in_edition", profile=facts.profile.name) if facts.profile.needs_agent else passed("off")
    )


def pending_update(facts: Facts) -> Finding | None:
    """No update is being installed or was broken off."""
    if _family(facts) is SystemFamily.WINDOWS:
        updating = facts.windows.get().updating
        if updating is None:
            return None
        return warned("windows") if updating else passed()
    guest = facts.linux.get()
    if guest.packaging:
        return warned("running", programs=", ".join(guest.packaging))
    return warned("interrupted") if guest.interrupted else passed()


def pending_reboot(facts: Facts) -> Finding | None:
    """The guest does not wait for a reboot."""
    is_windows = _family(facts) is SystemFamily.WINDOWS
    reboot = facts.windows.get().reboot if is_windows else facts.linux.get().reboot
    if reboot is None:
        return None
    return warned("pending") if reboot else passed()


def same_state(facts: Facts) -> Finding | None:
    """libvirt and the guest agree that the guest runs."""
    machine = _running(facts)
    if machine is None:
        return None
    agent = facts.agent.get()
    if agent.state is AgentState.STOPPED and agent.last is not None:
        return warned("silent", since=f"{agent.last.time:%Y-%m-%d %H:%M}")
    if _family(facts) is SystemFamily.LINUX and facts.linux.get().state == "stopping":
        return warned("stopping")
    return passed()


def clock(facts: Facts) -> Finding | None:
    """The guest's clock shows the host's time."""
    if _running(facts) is None:
        return None
    drift = facts.drift.get()
    seconds = round(drift.total_seconds())
    if abs(drift) > DRIFT_GREAT:
        return failed("off", seconds=seconds)
    return warned("off", seconds=seconds) if abs(drift) > DRIFT_SEEN else passed(seconds=seconds)


def _running(facts: Facts) -> VirtualMachine | None:
    machine = facts.machine.get()
    return machine if machine is not None and machine.state is PowerState.RUNNING else None


def _family(facts: Facts) -> SystemFamily | None:
    system = facts.agent.get().system
    return None if system is None else system.family


_STATE_CAUSES = (
    "C-VM-CRASHED",
    "C-DISK-STOPPED",
    "C-VM-PAUSED",
    "C-VM-UPDATING",
    "C-OFF-UNDER-POLICY",
    "C-VM-GONE",
)

CHECKS = (
    Check("X1.1", Step.VM, libvirt_answers, ("C-LIBVIRT-DOWN", "C-LIBVIRT-HUNG")),
    Check("H1.1", Step.VM, power_state, _STATE_CAUSES),
    Check("H1.2", Step.VM, pending_update, ("C-STARVED",)),
    Check("H1.3", Step.VM, pending_reboot, ("C-VM-UPDATING",)),
    Check("H5.8", Step.VM, same_state, ("C-SNAP",)),
    Check("X1.2", Step.VM, clock, ("C-SNAP",)),
)
