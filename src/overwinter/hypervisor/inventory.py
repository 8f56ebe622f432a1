"""Which virtual machines this host has, and what a backup can cover of each."""

from dataclasses import dataclass, field
from uuid import UUID
from xml.etree.ElementTree import Element

import libvirt

from overwinter.hypervisor import chain, domain_xml
from overwinter.hypervisor.connection import Hypervisor, translate
from overwinter.hypervisor.domain_xml import DiskElement
from overwinter.images.chain import read_chain
from overwinter.model.errors import ImageError, NotFound
from overwinter.model.vm import (
    Disk,
    EncryptedDisk,
    Firmware,
    PowerState,
    UnreadableDisk,
    VirtualMachine,
)

AGENT_CHANNEL = "org.qemu.guest_agent.0"

_STATES = {
    libvirt.VIR_DOMAIN_RUNNING: PowerState.RUNNING,
    libvirt.VIR_DOMAIN_BLOCKED: PowerState.RUNNING,
    libvirt.VIR_DOMAIN_PAUSED: PowerState.PAUSED,
    libvirt.VIR_DOMAIN_PMSUSPENDED: PowerState.PAUSED,
    libvirt.VIR_DOMAIN_SHUTDOWN: PowerState.STOPPING,
    libvirt.VIR_DOMAIN_SHUTOFF: PowerState.STOPPED,
}

_CRASHED = ("its guest crashed", "C-VM-CRASHED")

#: Reasons of a pause that mean that something failed, in words and as causes of the code book.
_FAILED_PAUSES: dict[int, tuple[str, str | None]] = {
    libvirt.VIR_DOMAIN_PAUSED_IOERROR: ("a disk gave an error", "C-DISK-STOPPED"),
    libvirt.VIR_DOMAIN_PAUSED_CRASHED: _CRASHED,
    libvirt.VIR_DOMAIN_PAUSED_POSTCOPY_FAILED: ("a migration failed half-way", None),
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


def exists(hypervisor: Hypervisor, vm_uuid: UUID) -> bool:
    """Whether there is such a domain. Raises HypervisorUnavailable."""
    try:
        with hypervisor.domain(vm_uuid):
            return True
    except NotFound:
        return False


def names(hypervisor: Hypervisor) -> dict[UUID, str]:
    """Names of all domains of the host; nothing else is looked at. Raises HypervisorUnavailable."""
    with hypervisor.session() as connection:
        return {UUID(domain.UUIDString()): domain.name() for domain in connection.listAllDomains()}


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
    found = _disks(domain, xml)
    full = _full_disks(domain, state, reason)
    failure, cause = _failure(domain, state, reason, full)
    channel = _agent_channel(root)
    return VirtualMachine(
        uuid=UUID(domain.UUIDString()),
        name=domain.name(),
        state=_power_state(state, reason, active=bool(domain.isActive())),
        persistent=bool(domain.isPersistent()),
        vcpus=info[3],
        memory_bytes=info[1] * 1024,
        firmware=_firmware(root),
        disks=tuple(found.covered),
        skipped_disks=tuple(found.skipped),
        uncovered_disks=tuple(found.uncovered),
        unreadable_disks=tuple(found.unreadable),
        encrypted_disks=tuple(found.encrypted),
        failure=failure,
        failure_cause=cause,
        out_of_space=bool(full),
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


def _full_disks(domain: libvirt.virDomain, state: int, reason: int) -> list[str]:
    """Targets of the disks for whose writes there was no space, in a domain that is paused for that."""
    if (state, reason) != (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_IOERROR):
        return []
    errors = domain.diskErrors()
    return sorted(t for t, kind in errors.items() if kind == libvirt.VIR_DOMAIN_DISK_ERROR_NO_SPACE)


def _failure(domain: libvirt.virDomain, state: int, reason: int, full: list[str]) -> tuple[str, str | None]:
    """What has stopped a domain that did not stop by itself or by order, and its cause; empty: nothing."""
    if state == libvirt.VIR_DOMAIN_CRASHED:
        return _CRASHED if domain.isActive() else ("", None)
    if state != libvirt.VIR_DOMAIN_PAUSED or reason not in _FAILED_PAUSES:
        return "", None
    words, cause = _FAILED_PAUSES[reason]
    return (f"no space is left for disk {', '.join(full)}" if full else words), cause


@dataclass
class _Found:
    """The disks a backup covers, and the others as in ``VirtualMachine``."""

    covered: list[Disk] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    uncovered: list[tuple[str, str]] = field(default_factory=list)
    unreadable: list[UnreadableDisk] = field(default_factory=list)
    encrypted: list[EncryptedDisk] = field(default_factory=list)


def _disks(domain: libvirt.virDomain, xml: str) -> _Found:
    """All disks. A hard disk keeps its number while others come and go between covered and skipped."""
    found = _Found()
    labels = domain_xml.media(xml)
    lun = -1
    for element in domain_xml.disks(xml):
        try:
            if not element.obstacle:
                found.covered.append(_disk(domain, element, lun, labels.get(element.target, "")))
            elif element.removable or element.read_only:
                found.skipped.append((element.target, element.obstacle))
            else:
                found.uncovered.append((element.target, element.obstacle))
                if element.secrets:
                    size = domain.blockInfo(element.target)[0]
                    found.encrypted.append(EncryptedDisk(element.target, size, element.secrets))
        except ImageError as error:
            found.unreadable.append(UnreadableDisk(element.target, error.message, error.cause))
        except libvirt.libvirtError as error:
            if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
                raise
            message = translate(error).message
            found.unreadable.append(UnreadableDisk(element.target, message, _cause(element)))
        if not element.removable:
            lun += 1
    return found


def _cause(element: DiskElement) -> str | None:
    """Why libvirt cannot look into a disk, as far as its files show."""
    if element.source is None:
        return None
    try:
        read_chain(element.source.path, element.source.format)
    except ImageError as error:
        return error.cause
    return None


def _disk(domain: libvirt.virDomain, element: DiskElement, lun: int, media: str) -> Disk:
    capacity = domain.blockInfo(element.target)[0]
    layers = (
        chain.complete_chain(element) if domain.isActive() else chain.current_chain(domain, element.target)
    )
    return Disk(target=element.target, lun=lun, size=capacity, chain=layers, media=media)


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
