"""No guest stays frozen: thaw again and again until the guest itself confirms it."""

import time
from uuid import UUID

from overwinter.guest.agent import HOOK_FAILED, GuestAgent
from overwinter.hypervisor.connection import Hypervisor
from overwinter.hypervisor.inventory import power_state
from overwinter.model.errors import (
    GuestAgentUnavailable,
    GuestCommandFailed,
    HypervisorUnavailable,
    NotFound,
    ThawUnconfirmed,
)
from overwinter.model.vm import PowerState

_POLL_SECONDS = 0.5


def is_off(hypervisor: Hypervisor, vm_uuid: UUID) -> bool:
    """Whether the VM has no running guest that could be frozen. Raises HypervisorUnavailable."""
    try:
        return power_state(hypervisor, vm_uuid) is PowerState.STOPPED
    except NotFound:
        return True


def thaw_confirmed(agent: GuestAgent) -> bool:
    """Send one thaw and ask for the status; false when the guest is still frozen or does not answer.

    The thaw is sent even if the status says thawed: an agent that was restarted may not know that its
    predecessor froze the file systems, yet thaws them when told.
    """
    try:
        try:
            agent.thaw()
        except GuestCommandFailed as error:
            if HOOK_FAILED not in error.message:  # the hook runs once everything is thawed
                raise
        return not agent.frozen()
    except (GuestAgentUnavailable, GuestCommandFailed):
        return False


def ensure_thawed(hypervisor: Hypervisor, vm_uuid: UUID, timeout_s: float) -> None:
    """Return once the guest says that it is thawed, or is off.

    A running VM's libvirt and agent are tried for ``timeout_s`` seconds; a last try may take some seconds
    more. Raises ThawUnconfirmed.
    """
    agent = GuestAgent(hypervisor, vm_uuid)
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            if is_off(hypervisor, vm_uuid) or thaw_confirmed(agent):
                return
        except (HypervisorUnavailable, NotFound):
            pass  # libvirt restarts, or the VM goes away just now: the next look tells
        if time.monotonic() > deadline:
            raise ThawUnconfirmed(
                f"the guest of VM {vm_uuid} did not confirm within {timeout_s:.0f} s that its file systems "
                "are thawed. If it does not react: resume it when it is paused, restart its guest agent, at "
                "last reset the VM"
            )
        time.sleep(_POLL_SECONDS)
