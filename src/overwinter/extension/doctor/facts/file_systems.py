"""What would be frozen for a snapshot, what not and why, and which file system is mounted more than once.

Chosen by the rules of the extension itself. Python 3.6, standard library only.
"""

from typing import Dict, List, NamedTuple, Tuple

from overwinter.extension import mounts
from overwinter.extension.doctor.machine import Machine
from overwinter.extension.settings import mounts_to_skip

SETTINGS = "/etc/azure/vmbackup.conf"

_MOUNTS = "/proc/self/mountinfo"

_FSTAB = "/etc/fstab"

#: Turned read-only by the kernel after errors; others are so by their nature.
_WRITABLE_TYPES = ("ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "jfs", "reiserfs")


class FileSystem(NamedTuple):
    """``why_not`` is null when it would be frozen, else one of ``mounts.Reason``.

    ``fallen``: it is read-only though it is meant to be written to.
    """

    point: str
    type: str
    source: str
    why_not: str
    fallen: bool

    @property
    def evidence(self) -> str:
        """For people."""
        return "{} ({} on {})".format(self.point, self.type, self.source)


class FileSystems(NamedTuple):
    """``doubled`` are mount points that show one and the same file system whole."""

    all: Tuple[FileSystem, ...]
    doubled: Tuple[Tuple[str, ...], ...]


def read(machine: Machine) -> FileSystems:
    """Raises OSError, ValueError."""
    text = machine.read_text(_MOUNTS)
    if text is None:
        raise ValueError("/proc is not mounted")
    try:
        mounted = mounts.parse(text)
        doubled = _doubled(text, mounted)
    except IndexError as error:
        raise ValueError("a line of mountinfo is incomplete") from error
    meant_read_only = _meant_read_only(machine.read_text(_FSTAB) or "")
    loops = mounts.on_loop_devices(mounted, machine.path("/sys"))
    candidates = mounts.choose(mounted, mounts_to_skip(machine.path(SETTINGS)), loops)
    found = []
    for candidate in candidates:
        first = candidate.first
        writable = first.type in _WRITABLE_TYPES and first.point not in meant_read_only
        fallen = first.read_only and writable and candidate.why_not == mounts.Reason.READ_ONLY
        found.append(FileSystem(first.point, first.type, first.source, candidate.why_not or "", fallen))
    return FileSystems(tuple(found), doubled)


def _meant_read_only(fstab: str) -> List[str]:
    lines = (line.split() for line in fstab.splitlines() if not line.lstrip().startswith("#"))
    return [fields[1] for fields in lines if len(fields) > 3 and "ro" in fields[3].split(",")]


def _doubled(text: str, mounted: List[mounts.Mount]) -> Tuple[Tuple[str, ...], ...]:
    """Parts of a file system (bind mounts, subvolumes) may be mounted anywhere; the whole of it only once."""
    whole = {int(fields[0]) for fields in map(str.split, text.splitlines()) if fields[3] == "/"}
    places: Dict[str, List[str]] = {}
    for mount in mounted:
        if mount.id in whole and mount.type in _WRITABLE_TYPES:
            places.setdefault(mount.device, []).append(mount.point)
    return tuple(tuple(points) for points in places.values() if len(points) > 1)
