"""In which format a captured disk is restored: that of the VM's own image, not of our overlay."""

from overwinter.images.chain import read_layer
from overwinter.model.point import DiskCapture, PointDisk
from overwinter.model.vm import DiskFormat


def restored_disk(capture: DiskCapture) -> PointDisk:
    """A raw disk stays raw; every other format becomes qcow2, with the original's clusters if it is one."""
    original = capture.original
    if original.format == DiskFormat.RAW:
        return PointDisk(capture.target, capture.lun, capture.size, DiskFormat.RAW)
    cluster_size = read_layer(original).cluster_size if original.format == DiskFormat.QCOW2 else None
    return PointDisk(capture.target, capture.lun, capture.size, DiskFormat.QCOW2, cluster_size)
