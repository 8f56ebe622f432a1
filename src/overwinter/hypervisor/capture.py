"""What it means to capture a VM at an instant: the interface every method of capturing has.

The calls are separate because the guest is frozen around one of them: `prepare` (before the freeze), `take`
(in the window, as short as can be), `discard` (after the thaw, when it was not taken).

After a crash: when `was_taken`, go on behind `take`; else `discard` and begin again with a new plan.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from uuid import UUID

from overwinter.model.point import DiskCapture
from overwinter.model.vm import VirtualMachine

#: Least free space of a file system that gets an overlay.
OVERLAY_RESERVE_BYTES = 1 << 30


@dataclass(frozen=True)
class CapturePlan:
    """What `take` will do. ``excluded`` names the disks that are left as they are."""

    vm_uuid: UUID
    point_id: UUID
    disks: tuple[DiskCapture, ...]
    excluded: tuple[str, ...]


class Capture(Protocol):
    """One method of capturing all disks of a VM at one instant."""

    def plan(self, vm: VirtualMachine, point_id: UUID, overlay_directory: Path | None) -> CapturePlan:
        """Decide names; changes nothing and asks nobody. Raises VmNotInDesirableState, ChainUnexpected."""
        ...

    def check_space(self, plan: CapturePlan, minimum_free: int) -> None:
        """Raise OverlaySpaceLow unless every file system that will hold an overlay has so many bytes free."""
        ...

    def prepare(self, plan: CapturePlan, minimum_free: int) -> None:
        """Check everything that can be checked before the guest is frozen, and make room.

        ``minimum_free`` bytes must be free on each file system that will hold an overlay.

        Raises OverlaySpaceLow, ChainUnexpected (the VM's disks are not as planned), VmNotInDesirableState
        (another operation works on a disk), SnapshotFailed, NotFound, HypervisorError. Nothing is left behind
        then.
        """
        ...

    def take(self, plan: CapturePlan) -> None:
        """Capture all disks at one instant, of a running or a stopped VM.

        Raises SnapshotFailed when it was not taken: the VM runs on as before and no overlay is left. Raises
        HypervisorUnavailable when libvirt went away: ask `was_taken` before anything else.
        """
        ...

    def was_taken(self, plan: CapturePlan) -> bool:
        """Whether the capture happened, by the VM's definition. Raises ChainUnexpected when only in part."""
        ...

    def discard(self, plan: CapturePlan) -> None:
        """Remove what `prepare` and a failed `take` made. A running VM that went on in it all the same,
        unknown to libvirt, is brought back first, with all that it has written (`lost_snapshot`).

        Raises ChainUnexpected when it is in use, or was and cannot be brought back; BlockJobFailed when that
        failed; HypervisorError, ImageError.
        """
        ...
