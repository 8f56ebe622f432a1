"""Disk images: backing chains, extents, readers and writers through QEMU's own tools; no libvirt."""
