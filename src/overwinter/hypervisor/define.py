"""Bringing a VM to life and taking it away again: define, start, stop, undefine."""

import threading
from uuid import UUID

import libvirt

from overwinter.hypervisor import domain_xml
from overwinter.hypervisor.connection import Hypervisor
from overwinter.model.errors import AlreadyExists, HypervisorError

_UNDEFINE = (
    libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
    | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
)

#: libvirt's own define changes a domain of the same UUID; looking first and defining must not be torn apart.
_define_lock = threading.Lock()


def define(hypervisor: Hypervisor, xml: str) -> UUID:
    """Define a new domain and return its UUID. The definition must name both a name and a UUID.

    Raises AlreadyExists when the host has a domain of that name or UUID, which stays as it is;
    HypervisorError.
    """
    root = domain_xml.parse(xml)
    name, uuid = root.findtext("name"), root.findtext("uuid")
    if not name or not uuid:
        raise HypervisorError("a definition needs a name and a UUID of its own")
    with hypervisor.session() as connection, _define_lock:
        for domain in connection.listAllDomains():
            if domain.name() == name:
                raise AlreadyExists(f"a VM named {name} exists already; choose another name")
            if UUID(domain.UUIDString()) == UUID(uuid):
                raise AlreadyExists(f"the VM {domain.name()} has the UUID {uuid} already")
        return UUID(connection.defineXML(xml).UUIDString())


def start(hypervisor: Hypervisor, vm_uuid: UUID) -> None:
    """Start the VM, unless it runs already. Raises HypervisorError with QEMU's reason, NotFound."""
    with hypervisor.domain(vm_uuid) as domain:
        if not domain.isActive():
            domain.create()


def shutdown(hypervisor: Hypervisor, vm_uuid: UUID) -> None:
    """Press the power button. Returns at once; the guest decides. Nothing happens when the VM is off."""
    with hypervisor.domain(vm_uuid) as domain:
        if domain.isActive():
            domain.shutdownFlags(libvirt.VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN)


def destroy(hypervisor: Hypervisor, vm_uuid: UUID) -> None:
    """Pull the plug. Nothing happens when the VM is off."""
    with hypervisor.domain(vm_uuid) as domain:
        if domain.isActive():
            domain.destroy()


def undefine(hypervisor: Hypervisor, vm_uuid: UUID) -> None:
    """Remove the definition and variable store of a VM; its disks stay, and it runs on if it does."""
    with hypervisor.domain(vm_uuid) as domain:
        domain.undefineFlags(_UNDEFINE)
