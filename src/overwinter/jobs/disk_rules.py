"""Which disks the service's support profile takes: sizes, sizes of encrypted disks, kinds of storage."""

from overwinter.model.errors import DiskSizeUnsupported, StandardSsdUnsupported
from overwinter.model.profile import SupportProfile
from overwinter.model.protection import StackVersion
from overwinter.model.vm import VirtualMachine

#: Storage types of the ARM API that are Standard SSD: locally and zone redundant.
_STANDARD_SSD = "standardssd_"

_GIB = 1 << 30


def check(machine: VirtualMachine, profile: SupportProfile, stack: StackVersion) -> None:
    """Raise DiskSizeUnsupported or StandardSsdUnsupported for the first disk that is not taken."""
    limits = profile.disk_limits(stack)
    for disk in machine.disks:
        _check_size(machine, disk.target, disk.size, limits.largest, profile, stack)
    for encrypted in machine.encrypted_disks:
        largest = limits.largest if limits.largest_encrypted is None else limits.largest_encrypted
        _check_size(machine, f"{encrypted.target} (encrypted)", encrypted.size, largest, profile, stack)
    for disk in machine.disks:
        if not limits.standard_ssd and disk.media.casefold().startswith(_STANDARD_SSD):
            raise StandardSsdUnsupported(
                f"Disk {disk.target} of {machine.name} is labelled {disk.media}, and support profile "
                f"{profile.name} takes no Standard SSD disks in a vault of stack {stack}."
            )


def _check_size(
    machine: VirtualMachine,
    disk: str,
    size: int,
    largest: int | None,
    profile: SupportProfile,
    stack: StackVersion,
) -> None:
    if largest is not None and size > largest:
        raise DiskSizeUnsupported(
            f"Disk {disk} of {machine.name} has {size / _GIB:.10g} GiB; support profile {profile.name} takes "
            f"disks up to {largest // _GIB} GiB in a vault of stack {stack}."
        )
