"""The guest of the demonstration: a qcow2 system disk and a raw data disk, each with a file system."""

from testkit.disks import MIB, DiskSpec
from testkit.domains import TinyGuest
from testkit.ground import Ground

#: Where the guest mounts the file systems of its disks.
DATA_DIRECTORIES = ("/mnt/vda", "/mnt/vdb")


def make_demo_guest(ground: Ground, name: str) -> TinyGuest:
    """Define and boot it."""
    disks = [DiskSpec(format="qcow2", size=512 * MIB), DiskSpec(format="raw", size=256 * MIB)]
    return ground.guests.make(name, disks)
