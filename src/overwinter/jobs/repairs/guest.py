"""Repairs of what works in the guest: the frozen file systems, the guest agent, the extension.

Without an agent that answers there is one way into a guest from its host: to pull the agent's channel and
plug it in again. Everything else goes through the agent.
"""

import time

from overwinter.catalog import points
from overwinter.guest.agent import GuestAgent
from overwinter.guest.agent_options import BEFORE, AgentOptions
from overwinter.guest.agent_service import AgentService
from overwinter.guest.extension import GuestExtension
from overwinter.guest.thaw import ensure_thawed
from overwinter.hypervisor import agent_channel, inventory
from overwinter.jobs import guest_agents
from overwinter.jobs.freezing import THAW_TIMEOUT_S
from overwinter.jobs.repairs.repair import Case, Repair
from overwinter.model.agent import DELIVERY_COMMANDS, FREEZE_COMMANDS, AgentState, AgentStatus
from overwinter.model.errors import ExtensionUnavailable, GuestAgentUnavailable, GuestCommandFailed
from overwinter.model.freeze import FreezeMethod
from overwinter.model.vm import PowerState

#: Seconds for the guest to start its agent after its channel came back, or after a restart was ordered.
_START_S = 20.0

#: An agent that does not answer twice is hung; once, it may have been busy.
_LOOKS = 2

_POLL_S = 0.5


# --- the agent itself -------------------------------------------------------------------------------------


def _agent_away(case: Case) -> str | None:
    """An agent that answered before and does not now. Whether one was ever installed nobody can know."""
    if case.policy().crash_consistent_only or not _runs(case):
        return None
    for _ in range(_LOOKS):
        status = _status(case)
        if status.state is not AgentState.NOT_READY:
            break
    away = status.state in (AgentState.STOPPED, AgentState.NOT_READY)
    return f"{status.reason} (agent state {status.state})" if away else None


def _start_agent(case: Case) -> None:
    """Nothing to undo: the channel is what it was.

    An agent whose service belongs to the channel's device is started by this; on Debian one that hangs, too:
    systemd ends it when the device goes, and that thaws what it held frozen. A masked or uninstalled one is
    not, and nothing else on the host could do it.
    """
    hypervisor, vm = case.runtime.hypervisor, case.item.vm_uuid
    agent_channel.replug(hypervisor, vm)
    if not agent_channel.wait_connected(hypervisor, vm, _START_S):
        raise GuestAgentUnavailable(
            "In the guest nothing opened the channel again. The agent is masked or not installed there, or "
            "its service is not started by its device: start it in the guest."
        )


# --- the frozen guest -------------------------------------------------------------------------------------


def _frozen(case: Case) -> str | None:
    if not _runs(case):
        return None
    try:
        frozen = _agent(case).frozen()
    except (GuestAgentUnavailable, GuestCommandFailed):
        return None  # an agent that does not answer cannot thaw either
    return "The guest's file systems are frozen, though no backup holds them." if frozen else None


def _thaw(case: Case) -> None:
    """Nothing to undo: a guest is never meant to stay frozen."""
    ensure_thawed(case.runtime.hypervisor, case.item.vm_uuid, THAW_TIMEOUT_S)


# --- the agent's options and service ----------------------------------------------------------------------


def _forbidden(case: Case) -> str | None:
    """Only what a file of the guest forbids, and where that file can be written."""
    status = _open_agent(case)
    blocked = _blocked(status)
    if status is None or not blocked:
        return None
    paths = AgentOptions(_agent(case)).to_change(blocked)
    if not paths:
        return None
    return f"The agent's options in {', '.join(paths)} forbid {', '.join(sorted(blocked))}."


def _allow(case: Case) -> None:
    """Undone in the guest: move the file with ``.before-overwinter`` back and restart the agent."""
    agent = _agent(case)
    options = AgentOptions(agent)
    for path, text in options.to_change(_blocked(_open_agent(case))).items():
        options.write(path, text)
    AgentService(agent).restart()
    until = time.monotonic() + _START_S
    while _blocked(_status(case)) and time.monotonic() < until:
        time.sleep(_POLL_S)


def _blocked(status: AgentStatus | None) -> frozenset[str]:
    """Commands of the freeze that the agent knows and must not carry out."""
    if status is None or status.info is None:
        return FREEZE_COMMANDS
    return FREEZE_COMMANDS & status.info.known - status.info.enabled


def _not_started_at_boot(case: Case) -> str | None:
    if _open_agent(case) is None:
        return None
    unit = AgentService(_agent(case)).disabled_unit()
    return None if unit is None else f"The agent runs, but {unit} is not enabled: nothing starts it at boot."


def _enable(case: Case) -> None:
    """Undone in the guest: ``systemctl disable`` that unit."""
    service = AgentService(_agent(case))
    unit = service.disabled_unit()
    if unit is not None:
        service.enable(unit)


# --- the extension ----------------------------------------------------------------------------------------


def _extension_fault(case: Case) -> str | None:
    """Only where it has frozen the guest before: the first backup installs it."""
    with case.runtime.catalog.transaction() as tx:
        taken = [point.freeze for point in points.recovery_points_of(tx, case.item.id)]
    if not any(freeze is not None and freeze.method is FreezeMethod.EXTENSION for freeze in taken):
        return None
    if _open_agent(case) is None:
        return None
    try:
        return GuestExtension(_agent(case)).fault()
    except ExtensionUnavailable:
        return None


def _reinstall(case: Case) -> None:
    """Undone by ``overwinter vm extension remove``; every backup would do the same."""
    GuestExtension(_agent(case)).install()


# ----------------------------------------------------------------------------------------------------------


def _agent(case: Case) -> GuestAgent:
    return GuestAgent(case.runtime.hypervisor, case.item.vm_uuid)


def _runs(case: Case) -> bool:
    return inventory.power_state(case.runtime.hypervisor, case.item.vm_uuid) is PowerState.RUNNING


def _status(case: Case) -> AgentStatus:
    machine = inventory.machine(case.runtime.hypervisor, case.item.vm_uuid)
    return guest_agents.status_of(case.runtime, machine)


def _open_agent(case: Case) -> AgentStatus | None:
    """The agent's status, where it is wanted, not frozen, and lets files be written and programs be run."""
    if case.policy().crash_consistent_only or not _runs(case):
        return None
    status = _status(case)
    if status.info is None or status.frozen or DELIVERY_COMMANDS - status.info.enabled:
        return None
    return status


AGENT_START = Repair(
    "agent-start",
    action="Pull the guest agent's channel out of the running VM and plug it in again.",
    touches="The guest sees the agent's device go and come, and starts its agent anew. It runs on.",
    finding=_agent_away,
    act=_start_agent,
)

REPAIRS = (
    AGENT_START,
    Repair(
        "thaw",
        action="Thaw the guest's file systems.",
        touches="Programs in the guest that wait for a write go on.",
        finding=_frozen,
        act=_thaw,
        needs_agent=True,
    ),
    Repair(
        "agent-options",
        action=f"Change these options in the guest (the file before: {BEFORE}), and restart the agent.",
        touches="The guest's configuration is changed. The agent is away for some seconds.",
        finding=_forbidden,
        act=_allow,
        needs_agent=True,
        unasked=False,
    ),
    Repair(
        "agent-autostart",
        action="Enable the agent's service in the guest.",
        touches="The guest's configuration is changed: the agent starts with the system.",
        finding=_not_started_at_boot,
        act=_enable,
        needs_agent=True,
        unasked=False,
    ),
    Repair(
        "extension-reinstall",
        action="Install the extension in the guest anew.",
        touches="Some 30 KB in the guest are written. It runs on.",
        finding=_extension_fault,
        act=_reinstall,
        needs_agent=True,
    ),
)
