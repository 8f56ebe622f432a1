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
        cause = _cause(disk.size, profile, is_encrypted=False)
        _check_size(machine, disk.target, disk.size, limits.largest, profile, stack, cause)
    for encrypted in machine.encrypted_disks:
        largest = limits.largest if limits.largest_encrypted is None else limits.largest_encrypted
        cause = _cause(encrypted.size, profile, is_encrypted=True)
        name = f"{encrypted.target} (encrypted)"
        _check_size(machine, name, encrypted.size, largest, profile, stack, cause)
    for disk in machine.disks:
        if not limits.standard_ssd and disk.media.casefold().startswith(_STANDARD_SSD):
            raise StandardSsdUnsupported(
                f"Disk {disk.target} of {machine.name} is labelled {disk.media}, and support profile "
                f"{profile.name} takes no Standard SSD disks in a vault of stack {stack}."
            )


def _cause(size: int, profile: SupportProfile, *, is_encrypted: bool) -> str:
    """Why a disk is too large: for its vault's stack only, for encrypted ones only, or altogether."""
    newest = profile.disk_limits(StackVersion.V2)
    if newest.largest is not None and size > newest.largest:
        return "C-DISK-BIG"
    if is_encrypted and newest.largest_encrypted is not None and size > newest.largest_encrypted:
        return "C-DISK-ENC-BIG"
    return "C-STACK-V1"


def _check_size(
    machine: VirtualMachine,
    disk: str,
    size: int,
    largest: int | None,
    profile: SupportProfile,
    stack: StackVersion,
    cause: str,
) -> None:
    if largest is not None and size > largest:
        raise DiskSizeUnsupported(
            f"Disk {disk} of {machine.name} has {size / _GIB:.10g} GiB; support profile {profile.name} takes "
            f"disks up to {largest // _GIB} GiB in a vault of stack {stack}.",
            cause=cause,
        )
