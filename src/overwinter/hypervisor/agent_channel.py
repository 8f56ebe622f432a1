"""The channel through which a guest agent is talked to: given to a VM that has none, or pulled and plugged.

To the guest a channel that is plugged in is a new device. Where the agent's service belongs to that device,
as udev and systemd do it on Debian and its like, an agent that was stopped or hangs is started anew by it.
"""

import copy
import time
from uuid import UUID
from xml.etree.ElementTree import Element

import libvirt

from overwinter.hypervisor import chain, domain_xml
from overwinter.hypervisor.connection import Hypervisor
from overwinter.hypervisor.inventory import AGENT_CHANNEL, machine
from overwinter.model.errors import HypervisorError

_POLL_SECONDS = 0.5

#: Seconds for QEMU to take a channel out of a running VM; it needs no help of the guest.
_UNPLUG_S = 10.0

_CONTROLLER = "./devices/controller[@type='virtio-serial']"
_CHANNEL = f"./devices/channel/target[@name='{AGENT_CHANNEL}']/.."

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
        if domain.isPersistent() and _channel(chain.persistent_xml(domain)) is None:
            flags |= libvirt.VIR_DOMAIN_AFFECT_CONFIG
        domain.attachDeviceFlags(_DEVICE, flags)


def replug(hypervisor: Hypervisor, vm_uuid: UUID) -> None:
    """Pull the channel of a running VM and plug it in again as it was; the definition is not touched.

    Whoever talks to the agent at that moment gets no answer. A process that dies in between leaves the VM
    without a channel, and ``can_be_added`` tells so. Raises NotFound, HypervisorError when libvirt refuses.
    """
    with hypervisor.domain(vm_uuid) as domain:
        channel = _channel(chain.live_xml(domain))
        if channel is None:
            raise HypervisorError("The VM has no channel for the guest agent.")
        domain.detachDeviceFlags(domain_xml.text(channel), libvirt.VIR_DOMAIN_AFFECT_LIVE)
        until = time.monotonic() + _UNPLUG_S
        while _channel(chain.live_xml(domain)) is not None:
            if time.monotonic() > until:
                raise HypervisorError("QEMU did not let go of the guest agent's channel.")
            time.sleep(_POLL_SECONDS)
        domain.attachDeviceFlags(_as_made(channel), libvirt.VIR_DOMAIN_AFFECT_LIVE)


def wait_connected(hypervisor: Hypervisor, vm_uuid: UUID, patience_s: float) -> bool:
    """Whether something in the guest opens the channel within ``patience_s`` seconds. Raises NotFound."""
    until = time.monotonic() + patience_s
    while not (connected := machine(hypervisor, vm_uuid).agent_connected) and time.monotonic() < until:
        time.sleep(_POLL_SECONDS)
    return connected


def _channel(xml: str) -> Element | None:
    return domain_xml.parse(xml).find(_CHANNEL)


def _as_made(channel: Element) -> str:
    """The device with its socket and address, without what libvirt says of its present state."""
    made = copy.deepcopy(channel)
    for alias in made.findall("alias"):
        made.remove(alias)
    for target in made.findall("target"):
        target.attrib.pop("state", None)
    return domain_xml.text(made)
