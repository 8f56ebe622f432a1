"""Which virtual machines this host has, and what a backup can cover of each."""

from uuid import UUID
from xml.etree.ElementTree import Element

import libvirt

from overwinter.hypervisor import chain, domain_xml
from overwinter.hypervisor.connection import Hypervisor, translate
from overwinter.hypervisor.domain_xml import DiskElement
from overwinter.model.errors import ImageError
from overwinter.model.vm import Disk, Firmware, PowerState, VirtualMachine

AGENT_CHANNEL = "org.qemu.guest_agent.0"

_STATES = {
    libvirt.VIR_DOMAIN_RUNNING: PowerState.RUNNING,
    libvirt.VIR_DOMAIN_BLOCKED: PowerState.RUNNING,
    libvirt.VIR_DOMAIN_PAUSED: PowerState.PAUSED,
    libvirt.VIR_DOMAIN_PMSUSPENDED: PowerState.PAUSED,
    libvirt.VIR_DOMAIN_SHUTDOWN: PowerState.STOPPING,
    libvirt.VIR_DOMAIN_SHUTOFF: PowerState.STOPPED,
}


def machines(hypervisor: Hypervisor) -> list[VirtualMachine]:
    """All domains of the host, running or not, by name.

    A domain that vanishes while being looked at is left out. Raises HypervisorUnavailable.
    """
    found = []
    with hypervisor.session() as connection:
        for domain in connection.listAllDomains():
            try:
                found.append(_machine(domain))
            except libvirt.libvirtError as error:
                if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
                    raise
    return sorted(found, key=lambda vm: vm.name)


def machine(hypervisor: Hypervisor, name_or_uuid: str | UUID) -> VirtualMachine:
    """One domain, by UUID or name. Raises NotFound, HypervisorUnavailable."""
    with hypervisor.domain(name_or_uuid) as domain:
        return _machine(domain)


def power_state(hypervisor: Hypervisor, vm_uuid: UUID) -> PowerState:
    """Power state alone, without looking at disks. Raises NotFound, HypervisorUnavailable."""
    with hypervisor.domain(vm_uuid) as domain:
        state, reason = domain.state()
        return _power_state(state, reason, active=bool(domain.isActive()))


def _machine(domain: libvirt.virDomain) -> VirtualMachine:
    xml = chain.live_xml(domain)
    root = domain_xml.parse(xml)
    state, reason = domain.state()
    info = domain.info()
    disks, skipped, uncovered, unreadable = _disks(domain, xml)
    channel = _agent_channel(root)
    return VirtualMachine(
        uuid=UUID(domain.UUIDString()),
        name=domain.name(),
        state=_power_state(state, reason, active=bool(domain.isActive())),
        persistent=bool(domain.isPersistent()),
        vcpus=info[3],
        memory_bytes=info[1] * 1024,
        firmware=_firmware(root),
        disks=disks,
        skipped_disks=skipped,
        uncovered_disks=uncovered,
        unreadable_disks=unreadable,
        agent_channel=channel is not None,
        agent_connected=channel is not None and channel.get("state") == "connected",
    )


def _power_state(state: int, reason: int, *, active: bool) -> PowerState:
    if state == libvirt.VIR_DOMAIN_CRASHED:
        # Kept for a memory dump (on_crash=preserve) or gone: QEMU's existence makes the difference.
        return PowerState.PAUSED if active else PowerState.STOPPED
    if state == libvirt.VIR_DOMAIN_PAUSED and reason == libvirt.VIR_DOMAIN_PAUSED_STARTING_UP:
        return PowerState.STARTING
    return _STATES.get(state, PowerState.UNKNOWN)


Reasons = tuple[tuple[str, str], ...]


def _disks(domain: libvirt.virDomain, xml: str) -> tuple[tuple[Disk, ...], Reasons, Reasons, Reasons]:
    """The disks a backup covers, and the others as in ``VirtualMachine``.

    A hard disk keeps its number while others beside it come and go between covered and skipped.
    """
    covered: list[Disk] = []
    skipped: list[tuple[str, str]] = []
    uncovered: list[tuple[str, str]] = []
    unreadable: list[tuple[str, str]] = []
    lun = -1
    for element in domain_xml.disks(xml):
        if element.obstacle:
            others = skipped if element.removable or element.read_only else uncovered
            others.append((element.target, element.obstacle))
        else:
            try:
                covered.append(_disk(domain, element, lun))
            except ImageError as error:
                unreadable.append((element.target, error.message))
            except libvirt.libvirtError as error:
                if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
                    raise
                unreadable.append((element.target, translate(error).message))
        if not element.removable:
            lun += 1
    return tuple(covered), tuple(skipped), tuple(uncovered), tuple(unreadable)


def _disk(domain: libvirt.virDomain, element: DiskElement, lun: int) -> Disk:
    capacity = domain.blockInfo(element.target)[0]
    layers = (
        chain.complete_chain(element) if domain.isActive() else chain.current_chain(domain, element.target)
    )
    return Disk(target=element.target, lun=lun, size=capacity, chain=layers)


def _agent_channel(root: Element) -> Element | None:
    return root.find(f"./devices/channel/target[@name='{AGENT_CHANNEL}']")


def _firmware(root: Element) -> Firmware:
    system = root.find("os")
    loader = root.find("./os/loader")
    automatic = system is not None and system.get("firmware") == "efi"
    return (
        Firmware.UEFI
        if automatic or (loader is not None and loader.get("type") == "pflash")
        else Firmware.BIOS
    )
