"""libvirt's secrets, which open the encrypted disks of VMs: whether the service may read them."""

import libvirt

from overwinter.hypervisor.connection import Hypervisor, translate
from overwinter.model.errors import HypervisorUnavailable, SecretUnreadable
from overwinter.model.vm import VirtualMachine


def check_readable(hypervisor: Hypervisor, machine: VirtualMachine) -> None:
    """Raise SecretUnreadable when a secret of the VM's encrypted disks is missing, empty or private.

    Values are looked at and forgotten. Raises HypervisorUnavailable.
    """
    if not machine.encrypted_disks:
        return
    with hypervisor.session() as connection:
        for disk in machine.encrypted_disks:
            for secret in disk.secrets:
                try:
                    _look_up(connection, secret).value()
                except libvirt.libvirtError as error:
                    failure = translate(error)
                    if isinstance(failure, HypervisorUnavailable):
                        raise failure from error
                    raise SecretUnreadable(
                        f"The secret of encrypted disk {disk.target} of {machine.name} cannot be read: "
                        f"{failure.message}"
                    ) from error


def _look_up(connection: libvirt.virConnect, secret: str) -> libvirt.virSecret:
    kind, _, name = secret.partition(":")
    if kind == "usage":
        return connection.secretLookupByUsage(libvirt.VIR_SECRET_USAGE_TYPE_VOLUME, name)
    return connection.secretLookupByUUIDString(name)


def every_value(hypervisor: Hypervisor) -> list[bytes]:
    """The values of libvirt's secrets that it gives away, for whoever must keep them out of what is shown.

    Raises HypervisorUnavailable.
    """
    found = []
    with hypervisor.session() as connection:
        for secret in connection.listAllSecrets():
            try:
                found.append(bytes(secret.value()))
            except libvirt.libvirtError as error:
                failure = translate(error)
                if isinstance(failure, HypervisorUnavailable):
                    raise failure from error
                # One that is private or has no value yet cannot stand in anything of ours either.
    return found
