"""Signs: checks that only tell causes of a failure apart. They pass where a cause is not there.

A check asks whether something is wrong with a VM, and is shown to people; a sign asks what of several things
was behind something that has failed already.
"""

from collections import Counter

from overwinter.doctor.check import Check, Finding, Step, failed, passed
from overwinter.doctor.fact import NotKnown
from overwinter.doctor.facts import Facts
from overwinter.model.agent import AgentState
from overwinter.model.vm import PowerState


def agent_works(facts: Facts) -> Finding | None:
    """The agent is in a state in which a backup uses it; without a channel nobody can tell."""
    machine, agent = facts.machine.get(), facts.agent.get()
    if machine is None or machine.state is not PowerState.RUNNING:
        return None
    if not machine.agent_channel:
        raise NotKnown("The VM's definition has no channel for the agent.")
    if agent.state is AgentState.READY or (agent.state.can_freeze and not facts.profile.needs_agent):
        return passed()
    return failed("state", state=agent.state.value, why=agent.reason)


def channel(facts: Facts) -> Finding | None:
    """The VM's definition has a channel for the agent."""
    machine = facts.machine.get()
    if machine is None:
        return None
    return passed() if machine.agent_channel else failed("missing")


def agent_is_there(facts: Facts) -> Finding | None:
    """Something in the guest answers or holds the channel open; silence does not tell that none is there."""
    machine, agent = facts.machine.get(), facts.agent.get()
    if machine is None or machine.state is not PowerState.RUNNING:
        return None
    if agent.state in (AgentState.NOT_INSTALLED, AgentState.STOPPED):
        raise NotKnown(agent.reason)
    return passed()


def points_of_a_day(facts: Facts) -> Finding | None:
    """No day has more than one of the restore points that are on the host."""
    days = Counter(point.created.date() for point in facts.records.get().restore_points)
    if not days:
        return None
    day, most = max(days.items(), key=lambda counted: counted[1])
    return failed("several", count=most, day=f"{day:%Y-%m-%d}") if most > 1 else passed()


def oldest_point_stored(facts: Facts) -> Finding | None:
    """The vault holds the oldest restore point that is on the host."""
    records = facts.records.get()
    oldest = min(records.restore_points, key=lambda point: point.created, default=None)
    if oldest is None:
        return None
    stored = any(
        point.restore_point == oldest.id and point.manifest is not None for point in records.recovery_points
    )
    return passed() if stored else failed("behind", created=f"{oldest.created:%Y-%m-%d %H:%M}")


def stopped_by(facts: Facts) -> Finding | None:
    """Nothing has stopped the VM."""
    machine = facts.machine.get()
    if machine is None:
        return None
    reasons = {"C-VM-CRASHED": "crashed", "C-DISK-STOPPED": "disk", None: "other"}
    reason = reasons.get(machine.failure_cause, "other")
    return failed(reason, failure=machine.failure) if machine.failure else passed()


def disk_files(facts: Facts) -> Finding | None:
    """The files of all disks are there, and are images."""
    machine = facts.machine.get()
    if machine is None:
        return None
    if not machine.unreadable_disks:
        return passed()
    causes = {disk.cause for disk in machine.unreadable_disks}
    disks = ", ".join(disk.target for disk in machine.unreadable_disks)
    if causes == {"C-IMAGE-AWAY"}:
        return failed("away", disks=disks)
    if causes == {"C-IMAGE-DAMAGED"}:
        return failed("damaged", disks=disks)
    raise NotKnown(machine.unreadable_disks[0].reason)


SIGNS = (
    Check("D1", Step.AGENT, agent_works, ("C-AGENT-STATE",)),
    Check("D2", Step.AGENT, channel, ("C-NO-CHANNEL",)),
    Check("D3", Step.AGENT, agent_is_there, ("C-NO-AGENT",)),
    Check("D4", Step.BACKUP, points_of_a_day, ("C-MULTI-DAY",)),
    Check("D5", Step.BACKUP, oldest_point_stored, ("C-VAULT-BEHIND",)),
    Check("D6", Step.VM, stopped_by, ("C-VM-CRASHED", "C-DISK-STOPPED")),
    Check("D7", Step.BACKUP, disk_files, ("C-IMAGE-AWAY", "C-IMAGE-DAMAGED")),
)
