"""The state of a VM's guest agent now, and the note of when it last answered."""

from overwinter.catalog import guest_agents
from overwinter.guest.agent import GuestAgent
from overwinter.guest.agent_status import Observation, observe
from overwinter.jobs.runtime import Runtime
from overwinter.model.agent import AgentStatus, LastSeen, judge
from overwinter.model.vm import VirtualMachine


def status_of(runtime: Runtime, machine: VirtualMachine) -> AgentStatus:
    """Ask a VM's agent how it is; bounded in time. Raises NotFound, HypervisorUnavailable."""
    with runtime.catalog.transaction() as tx:
        before = guest_agents.last_seen(tx, machine.uuid)
    agent = GuestAgent(runtime.hypervisor, machine.uuid)
    seen = observe(agent, machine, seen=before is not None)
    state, reason = judge(seen.evidence, runtime.settings.agent_versions)
    last = _answer(runtime, machine, seen, before)
    return AgentStatus(state, reason, last, seen.evidence.info, seen.hostname, frozen=seen.evidence.frozen)


def _answer(
    runtime: Runtime, machine: VirtualMachine, seen: Observation, before: LastSeen | None
) -> LastSeen | None:
    """The last answer: this one where there was one. A frozen guest does not tell its system anew."""
    info = seen.evidence.info
    if info is None:
        return before
    system = before.system if before is not None and not seen.system.id else seen.system
    last = LastSeen(runtime.clock(), info.version, system)
    with runtime.catalog.transaction() as tx:
        guest_agents.record(tx, machine.uuid, last)
    return last
