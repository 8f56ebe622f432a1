"""Observing a VM's guest agent: what it answers, and whether it can be asked at all.

Bounded: one who does not answer costs one call (5 s, and up to 5 s of libvirt's own); one who answers slowly
is asked no further questions after `ENOUGH_S`.
"""

import time
from dataclasses import dataclass

from overwinter.guest.agent import GuestAgent
from overwinter.model.agent import AgentEvidence, AgentInfo, GuestSystem
from overwinter.model.errors import GuestAgentInconsistent, GuestAgentUnavailable, GuestCommandFailed
from overwinter.model.vm import PowerState, VirtualMachine

#: Seconds after which no further question is asked.
ENOUGH_S = 5.0

_NO_SYSTEM = GuestSystem(id="", name="", version="", kernel="")


@dataclass(frozen=True)
class Observation:
    """The evidence for the agent's state, and what the guest told about itself on the way."""

    evidence: AgentEvidence
    system: GuestSystem = _NO_SYSTEM
    hostname: str | None = None


def observe(agent: GuestAgent, vm: VirtualMachine, *, seen: bool) -> Observation:
    """Ask a VM's agent how it is. ``seen`` tells whether it has ever answered before.

    Raises NotFound, HypervisorUnavailable.
    """
    reachable = vm.agent_channel and vm.agent_connected and vm.state is PowerState.RUNNING
    silence = nonsense = ""
    info: AgentInfo | None = None
    frozen = False
    system, hostname = _NO_SYSTEM, None
    until = time.monotonic() + ENOUGH_S
    if reachable:
        try:
            agent.ping()
            info = agent.info()
            frozen = "guest-fsfreeze-status" in info.enabled and agent.frozen()
            if "guest-get-osinfo" in info.enabled and time.monotonic() < until:
                system = agent.os_info()
            if "guest-get-host-name" in info.enabled and time.monotonic() < until:
                hostname = agent.hostname() or None
        except (GuestAgentInconsistent, GuestCommandFailed) as error:
            nonsense = error.message
        except GuestAgentUnavailable as error:
            silence = error.message
    evidence = AgentEvidence(
        power=vm.state,
        channel=vm.agent_channel,
        connected=vm.agent_connected,
        seen=seen,
        silence=silence,
        nonsense=nonsense,
        info=info,
        frozen=frozen,
    )
    return Observation(evidence, system, hostname)
