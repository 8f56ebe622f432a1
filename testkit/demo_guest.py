"""The guest of the demonstration: it boots from its own qcow2 disk and keeps data on a second, raw one."""

from testkit.boot_disk import BootDiskSpec
from testkit.disks import MIB, DiskSpec
from testkit.domains import TinyGuest
from testkit.ground import Ground

#: Where the guest mounts the file systems of its disks.
DATA_DIRECTORIES = ("/mnt/vda2", "/mnt/vdb")


def make_demo_guest(ground: Ground, name: str) -> TinyGuest:
    """Define and boot it."""
    system, data = BootDiskSpec("qcow2", data_size=471 * MIB), DiskSpec("raw", size=256 * MIB)
    return ground.guests.make(name, [system, data])
