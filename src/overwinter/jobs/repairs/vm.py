"""Repairs of the VM itself, with the means of libvirt."""

import time
from uuid import uuid4

from overwinter.hypervisor import agent_channel, inventory, power
from overwinter.hypervisor.capture import OVERLAY_RESERVE_BYTES
from overwinter.hypervisor.overlay_capture import OverlayCapture
from overwinter.jobs.repairs.repair import Case, Repair
from overwinter.model.errors import OverlaySpaceLow
from overwinter.model.vm import PowerState

#: A VM that runs for so many seconds after it was resumed does not pause at its next write.
_RUNS_ON_S = 3.0

#: Seconds for the guest to start its agent when the agent's channel has come.
_AGENT_START_S = 20.0


def _paused_by_full_disk(case: Case) -> str | None:
    """Only once there is room for what the guest writes next; any other failure is for a person."""
    machine = inventory.machine(case.runtime.hypervisor, case.item.vm_uuid)
    if machine.state is not PowerState.PAUSED or not machine.out_of_space:
        return None
    method = OverlayCapture(case.runtime.hypervisor)
    try:
        method.check_space(method.plan(machine, uuid4(), None), OVERLAY_RESERVE_BYTES)
    except OverlaySpaceLow:
        return None
    return f"The VM is paused: {machine.failure}; there is room again."


def _resume(case: Case) -> None:
    """Nothing to undo: a VM that must write to a full disk pauses again by itself."""
    power.resume(case.runtime.hypervisor, case.item.vm_uuid)
    until = time.monotonic() + _RUNS_ON_S
    while time.monotonic() < until and _paused_by_full_disk(case) is None:
        time.sleep(0.5)


def _no_channel(case: Case) -> str | None:
    """Only where the policy wants the agent at all."""
    if case.policy().crash_consistent_only:
        return None
    if not agent_channel.can_be_added(case.runtime.hypervisor, case.item.vm_uuid):
        return None
    return "The VM's definition has no channel for the guest agent."


def _add_channel(case: Case) -> None:
    """Nothing to undo: a channel that nobody opens does nothing. ``virsh edit`` takes it out again."""
    hypervisor, vm = case.runtime.hypervisor, case.item.vm_uuid
    agent_channel.add(hypervisor, vm)
    if inventory.power_state(hypervisor, vm) is PowerState.RUNNING:
        agent_channel.wait_connected(hypervisor, vm, _AGENT_START_S)


REPAIRS = (
    Repair(
        "vm-resume",
        action="Resume the VM.",
        touches="The VM runs on where it stood.",
        finding=_paused_by_full_disk,
        act=_resume,
    ),
    Repair(
        "agent-channel",
        action="Add the guest agent's channel to the VM, now and in its definition.",
        touches="The guest sees a new device. It runs on.",
        finding=_no_channel,
        act=_add_channel,
    ),
)
