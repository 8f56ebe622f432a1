"""Which agents this machine needs: the one of its platform, and those that are plainly in use.

A cloud image may carry the agent of another platform; that it does not run there is as it should be.
Python 3.6, standard library only.
"""

import posixpath
from typing import Callable, List, NamedTuple, Optional, Tuple

from overwinter.extension.doctor.checks.finding import NotApplicable
from overwinter.extension.doctor.facts import qemu_agent as qemu
from overwinter.extension.doctor.facts import waagent as azure
from overwinter.extension.doctor.facts.processes import Process
from overwinter.extension.doctor.facts.snapshot import Facts, own
from overwinter.extension.doctor.facts.system import AZURE, KVM
from overwinter.extension.doctor.facts.units import Unit
from overwinter.extension.doctor.text import Fact, Unknown, need, say

#: Below it Azure no longer answers for its agent.
AZURE_MINIMUM = "2.2.53.1"

#: The first with every command that Overwinter's host gives.
QEMU_MINIMUM = "2.5"

_SERVICES = {azure.PROGRAM: "walinuxagent", qemu.PROGRAM: "qemu-guest-agent"}


class Agent(NamedTuple):
    """What is the same for both agents. ``program`` is null when it is not installed."""

    name: str
    program: Optional[str]
    version: Optional[str]
    minimum: str
    processes: Fact[Tuple[Process, ...]]
    unit: Optional[Unit]

    @property
    def service(self) -> str:
        """What the init system calls it, or would."""
        if self.unit is None:
            return _SERVICES[self.name]
        name = posixpath.basename(self.unit.path)
        return name[: -len(".service")] if name.endswith(".service") else name


def needed(facts: Facts) -> List[Agent]:
    """The agents this machine needs, whether they are there or not. Raises NotKnown."""
    found = []
    if _needs_azure(facts):
        a = need(facts.waagent)
        found.append(
            Agent(azure.PROGRAM, a.program, a.version, AZURE_MINIMUM, _own(facts, azure.is_agent), a.unit)
        )
    if _needs_qemu(facts):
        q = need(facts.qemu_agent)
        found.append(
            Agent(qemu.PROGRAM, q.program, q.version, QEMU_MINIMUM, _own(facts, qemu.is_agent), q.unit)
        )
    return found


def present(facts: Facts) -> List[Agent]:
    """Those of the needed agents that are installed. Raises NotApplicable when there is none, NotKnown."""
    found = [agent for agent in needed(facts) if agent.program is not None]
    if not found:
        raise NotApplicable(say("not-installed"))
    return found


def azure_agent(facts: Facts) -> azure.WaAgent:
    """Azure's agent, whether it is there or not. Raises NotApplicable when it is not needed, NotKnown."""
    if not _needs_azure(facts):
        raise NotApplicable(say("not-azure"))
    return need(facts.waagent)


def qemu_agent(facts: Facts) -> qemu.QemuAgent:
    """QEMU's agent, whether it is there or not. Raises NotApplicable when it is not needed, NotKnown."""
    if not _needs_qemu(facts):
        raise NotApplicable(say("not-qemu"))
    return need(facts.qemu_agent)


def _own(facts: Facts, is_agent: Callable[[Process], bool]) -> "Fact[Tuple[Process, ...]]":
    processes = facts.processes
    return processes if isinstance(processes, Unknown) else own(processes, is_agent) or ()


def _needs_azure(facts: Facts) -> bool:
    agent, other = need(facts.waagent), need(facts.qemu_agent)
    if need(facts.system).platform == AZURE or own(facts.processes, azure.is_agent):
        return True
    return agent.program is not None and (agent.knows_host or not (other.port or other.program))


def _needs_qemu(facts: Facts) -> bool:
    agent, other = need(facts.qemu_agent), need(facts.waagent)
    if agent.port or own(facts.processes, qemu.is_agent):
        return True
    platform = need(facts.system).platform
    if platform == AZURE:
        return False
    return agent.program is not None or (platform == KVM and other.program is None)
