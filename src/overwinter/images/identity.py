"""Is this file still the one that was frozen, untouched?

Why equality is proof, for a regular file: the kernel sets a file's modification time to the current time at
every write, truncation and hole, so that a change after ``identify`` shows in ``mtime_ns``, unless it fell
into the same clock tick; therefore ``identify`` waits until the last change lies more than a tick back.
Another file at the same place has another inode, or, where the inode number was given out again, another
time. Renaming, permissions and reading change nothing here (libvirt changes owners whenever a machine
starts), which is why ``ctime`` is left out.

For a block device the kernel counts what it writes and discards. A device is the same as long as that
count, the device's number and sequence (unique for each device made since boot), its size and the boot are:
after a reboot it is always taken as changed.

What equality cannot see: someone who sets the time back after changing the file (``touch -d``, ``rsync -t``
writing in place); a change made below us (another host that writes to the same block device, the volume
under a logical volume, a whole disk over its partition, the file under a loop device, an array or logical
volume rolled back). When any part cannot be read, an error is raised, and the caller takes the layer as
changed.
"""

import os
import stat
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from overwinter.model.errors import ImageError

#: Longer than the tick of any Linux kernel's file times (10 ms at most).
TICK_NS = 20_000_000

#: Times to wait for a file to come to rest.
_TRIES = 100


@dataclass(frozen=True)
class LayerIdentity:
    """What must be equal for a layer to be unchanged.

    Regular file: ``device`` and ``inode`` of the file, ``size`` in bytes, ``mtime_ns`` since 1970. Block
    device: ``device`` is its own number, ``inode`` and ``mtime_ns`` are 0, and ``writes`` names boot,
    device sequence and the sectors written and discarded.
    """

    path: str
    device: int
    inode: int
    size: int
    mtime_ns: int
    writes: str = ""

    def to_json(self) -> dict[str, str | int]:
        """As strings and numbers, for the catalog."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, object]) -> "LayerIdentity":
        """Back from ``to_json``."""
        numbers = {name: int(str(values[name])) for name in ("device", "inode", "size", "mtime_ns")}
        return cls(path=str(values["path"]), writes=str(values["writes"]), **numbers)


def identify(path: str) -> LayerIdentity:
    """Identity of the file or block device at ``path`` as it is now.

    May wait some milliseconds. Raises ImageError when the file is missing, is of another kind, or does not
    come to rest.
    """
    try:
        status = Path(path).stat()
        if stat.S_ISBLK(status.st_mode):
            return _identify_device(path, status.st_rdev)
        if not stat.S_ISREG(status.st_mode):
            raise ImageError(f"{path} is neither a regular file nor a block device")
        for _ in range(_TRIES):
            age = time.time_ns() - status.st_mtime_ns
            if not 0 <= age < TICK_NS:
                return LayerIdentity(path, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
            time.sleep((TICK_NS - age) / 1e9)
            status = Path(path).stat()
    except OSError as error:
        raise ImageError(f"{path} cannot be identified: {error.strerror}", cause="C-IMAGE-AWAY") from error
    raise ImageError(f"{path} is written to all the time; it is no frozen image")


def _identify_device(path: str, number: int) -> LayerIdentity:
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(file)  # what waits in the page cache is not counted yet
        size = os.lseek(file, 0, os.SEEK_END)
    finally:
        os.close(file)
    entry = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}").resolve(strict=True)
    disk = entry.parent if (entry / "partition").exists() else entry
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    sequence = (disk / "diskseq").read_text().strip()
    # Fields of the kernel's Documentation/block/stat.rst: the 7th counts sectors written, the 14th discarded.
    counts = (entry / "stat").read_text().split()
    if len(counts) < 14:
        raise ImageError(f"{path}: this kernel does not count discarded sectors")
    return LayerIdentity(path, number, 0, size, 0, f"{boot}/{sequence}/{counts[6]}/{counts[13]}")
