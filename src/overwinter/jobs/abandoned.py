"""Restore points of a VM that was removed: they stay until they expire or are deleted; then their files go.

The overlays of a removed VM are two things: the chain of its restore points, and, where its newest overlay
still exists, a disk that somebody may define a VM with again. Such a disk is left as it is. When its newest
overlay is gone, so is the disk, and the overlays below are of use to restore points only: the last point that
needs one takes it along. The VM's original image was never ours and is never removed.
"""

from collections.abc import Sequence
from pathlib import Path

from overwinter.hypervisor import chain
from overwinter.jobs.runtime import Runtime
from overwinter.model.errors import ImageError
from overwinter.model.names import is_overlay
from overwinter.model.point import DiskCapture, RestorePoint


def remove_files(runtime: Runtime, point: RestorePoint, others: Sequence[RestorePoint]) -> None:
    """Remove the overlays that only ``point`` needs, of disks that are gone. May run again.

    ``others`` are the VM's other restore points. Raises ImageError, HypervisorUnavailable.
    """
    needed = {path for other in others for disk in other.disks for path in disk.chain}
    with runtime.hypervisor.session() as connection:
        for disk in point.disks:
            if _newest_overlay(disk, others).exists():
                continue
            for path in disk.chain:
                if is_overlay(path) and path not in needed and not chain.is_named(connection, path):
                    _remove(Path(path))


def _newest_overlay(disk: DiskCapture, others: Sequence[RestorePoint]) -> Path:
    """The overlay that a disk's newest restore point was frozen under; chains only ever grow at the top."""
    chains = [each for other in others for each in other.disks if each.target == disk.target]
    return Path(max([disk, *chains], key=lambda each: len(each.chain)).overlay)


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise ImageError(f"the overlay {path} cannot be removed: {error.strerror}") from error
