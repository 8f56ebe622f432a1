"""The channel through which a guest agent is talked to, given to a VM that was defined without one."""

import time
from uuid import UUID

import libvirt

from overwinter.hypervisor import chain, domain_xml
from overwinter.hypervisor.connection import Hypervisor
from overwinter.hypervisor.inventory import AGENT_CHANNEL, machine

_POLL_SECONDS = 0.5

_CONTROLLER = "./devices/controller[@type='virtio-serial']"
_CHANNEL = f"./devices/channel/target[@name='{AGENT_CHANNEL}']"

_DEVICE = f"<channel type='unix'><target type='virtio' name='{AGENT_CHANNEL}'/></channel>"


def can_be_added(hypervisor: Hypervisor, vm_uuid: UUID) -> bool:
    """Whether a VM has no channel and can be given one now.

    A running VM needs a controller for it, which libvirt cannot plug in; most have one for their console.
    Raises NotFound.
    """
    with hypervisor.domain(vm_uuid) as domain:
        devices = domain_xml.parse(chain.live_xml(domain))
        is_ready = not domain.isActive() or devices.find(_CONTROLLER) is not None
        return is_ready and devices.find(_CHANNEL) is None


def add(hypervisor: Hypervisor, vm_uuid: UUID) -> None:
    """Give a VM the channel: now if it runs, and for its next starts.

    The guest sees a new device; nothing else of the VM changes. Raises NotFound, HypervisorError when libvirt
    refuses.
    """
    with hypervisor.domain(vm_uuid) as domain:
        flags = libvirt.VIR_DOMAIN_AFFECT_LIVE if domain.isActive() else 0
        if domain.isPersistent():
            flags |= libvirt.VIR_DOMAIN_AFFECT_CONFIG
        domain.attachDeviceFlags(_DEVICE, flags)


def wait_connected(hypervisor: Hypervisor, vm_uuid: UUID, patience_s: float) -> bool:
    """Whether something in the guest opens the channel within ``patience_s`` seconds. Raises NotFound."""
    until = time.monotonic() + patience_s
    while not (connected := machine(hypervisor, vm_uuid).agent_connected) and time.monotonic() < until:
        time.sleep(_POLL_SECONDS)
    return connected
