"""What a virtual machine is to the backup system: identity, state, disks and their backing chains."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from overwinter.model.errors import ImageError
from overwinter.model.names import is_overlay

#: LUN of the operating-system disk, as in the ARM API.
OS_LUN = -1


class PowerState(StrEnum):
    """Power state of a domain, in the words of the compute API (``PowerState/running`` …)."""

    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    STARTING = "starting"
    STOPPING = "stopping"
    UNKNOWN = "unknown"


class DiskFormat(StrEnum):
    """Image formats that can be the original file of a disk."""

    RAW = "raw"
    QCOW2 = "qcow2"


class Firmware(StrEnum):
    """Boot firmware of a VM."""

    BIOS = "bios"
    UEFI = "uefi"


@dataclass(frozen=True)
class ImageLayer:
    """One image file (or block device) of a backing chain. ``format`` is a QEMU format name."""

    path: str
    format: str


def original_index(paths: Sequence[str]) -> int:
    """Where in a chain (top first) the VM's own image is: directly below our lowest overlay, else the top.

    What lies below it is the user's (a template that other VMs share, a snapshot chain of another tool):
    nothing of ours is ever committed there. When somebody has put a whole image in the place of an overlay,
    so that there is nothing below, that image is the VM's own now.
    """
    overlays = [index for index, path in enumerate(paths) if is_overlay(path)]
    return min(overlays[-1] + 1, len(paths) - 1) if overlays else 0


@dataclass(frozen=True)
class EncryptedDisk:
    """A disk that QEMU encrypts: target, virtual size in bytes, and libvirt's secrets that open it.

    A secret is named as ``uuid:<UUID>`` or ``usage:<name>``.
    """

    target: str
    size: int
    secrets: tuple[str, ...]


@dataclass(frozen=True)
class Disk:
    """One writable disk of a VM.

    ``lun`` is ``OS_LUN`` for the operating-system disk (the first one), then 0, 1, … as in the ARM API.
    ``chain`` runs from the image the VM writes to (top) down to the base. ``size`` is the virtual size in
    bytes. ``media`` is the kind of storage that somebody labelled it with in the VM's definition, a name of
    the ARM API (``StandardSSD_LRS``), else empty.
    """

    target: str
    lun: int
    size: int
    chain: tuple[ImageLayer, ...]
    media: str = ""

    @property
    def top(self) -> ImageLayer:
        """The image the VM writes to now."""
        return self.chain[0]

    @property
    def original(self) -> ImageLayer:
        """The VM's own image, see ``original_index``."""
        return self.chain[original_index([layer.path for layer in self.chain])]


@dataclass(frozen=True)
class UnreadableDisk:
    """A disk that could be covered but cannot be looked into now, and why.

    ``cause`` is the code book's id of that, where it is known.
    """

    target: str
    reason: str
    cause: str | None = None


@dataclass(frozen=True)
class BlockJob:
    """A block job on a disk, of libvirt's ``kind``; ``done`` and ``total`` are in QEMU's units."""

    target: str
    kind: int
    done: int
    total: int


@dataclass(frozen=True)
class VirtualMachine:
    """One libvirt domain.

    ``disks`` holds the disks a backup covers. Of the others each is named with the reason: ``skipped_disks``
    hold nothing of the VM's own (removable and read-only media), ``uncovered_disks`` do but cannot be covered
    (network disks, encrypted images), ``unreadable_disks`` could be covered but cannot be looked into now.
    ``encrypted_disks`` are among the uncovered ones. ``failure`` says what has stopped the VM, empty when
    nothing has, ``failure_cause`` which of the code book's causes that is, if one; ``out_of_space`` tells
    whether it was a full disk of the host. ``agent_channel`` tells whether the domain defines a guest-agent
    channel, ``agent_connected`` whether something in the guest has it open.
    """

    uuid: UUID
    name: str
    state: PowerState
    persistent: bool
    vcpus: int
    memory_bytes: int
    firmware: Firmware
    disks: tuple[Disk, ...]
    skipped_disks: tuple[tuple[str, str], ...] = ()
    uncovered_disks: tuple[tuple[str, str], ...] = ()
    unreadable_disks: tuple[UnreadableDisk, ...] = ()
    encrypted_disks: tuple[EncryptedDisk, ...] = ()
    failure: str = ""
    failure_cause: str | None = None
    out_of_space: bool = False
    agent_channel: bool = False
    agent_connected: bool = False

    def require_readable_disks(self) -> None:
        """Raise ImageError when a disk cannot be looked into: it must not be left out silently."""
        if self.unreadable_disks:
            reasons = "; ".join(f"{disk.target}: {disk.reason}" for disk in self.unreadable_disks)
            cause = self.unreadable_disks[0].cause
            raise ImageError(f"Not all disks of {self.name} can be read: {reasons}", cause=cause)

    @property
    def is_active(self) -> bool:
        """Whether a QEMU process exists for this VM (running or paused)."""
        return self.state not in (PowerState.STOPPED, PowerState.UNKNOWN)
