"""The recovery point that every measurement commits: one disk of a VM that is none."""

from datetime import UTC, datetime
from uuid import UUID

from overwinter.model.point import Consistency
from overwinter.model.vm import DiskFormat
from overwinter.vault import DiskMap, Manifest, ManifestDisk

#: The disk's name in the VM.
TARGET = "vda"


def manifest_of(point: str, disk: DiskMap) -> Manifest:
    """The manifest of a point with this disk."""
    return Manifest(
        point_id=point,
        vm_uuid=UUID(int=0),
        vm_name="bench",
        created=datetime.now(UTC),
        consistency=Consistency.CRASH,
        disks=(ManifestDisk(TARGET, 0, disk.size, DiskFormat.QCOW2, None, disk),),
        domain_xml="<domain/>",
        nvram=None,
    )
