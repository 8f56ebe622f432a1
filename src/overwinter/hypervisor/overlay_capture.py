"""Capture by external snapshots: the VM goes on in new overlay files, and what it wrote before stands still.

One libvirt snapshot over all disks: disk-only (no memory), atomic (all or none) and without metadata, because
the catalog keeps the account and libvirt 9.0 cannot delete or revert external snapshots on its own.

The overlays are made before, so that the frozen guest need not wait for it, and so that only their owner can
read them: libvirt makes those of stopped VMs readable to all (CVE-2025-13193).
"""

import errno
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID
from xml.etree.ElementTree import Element, SubElement

import libvirt

from overwinter.hypervisor import chain, domain_xml, lost_snapshot
from overwinter.hypervisor.capture import CapturePlan
from overwinter.hypervisor.connection import Hypervisor, translate
from overwinter.images.qemu_img import qemu_img
from overwinter.images.untouched import came_into_use
from overwinter.model.errors import (
    ChainUnexpected,
    HypervisorError,
    HypervisorUnavailable,
    ImageError,
    NotFound,
    OverlaySpaceLow,
    OverwinterError,
    SnapshotFailed,
    VmNotInDesirableState,
)
from overwinter.model.names import overlay_suffix
from overwinter.model.point import DiskCapture
from overwinter.model.vm import Disk, VirtualMachine

_FLAGS = (
    libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY
    | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_ATOMIC
    | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_NO_METADATA
    | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_REUSE_EXT
)

_DEVICES = Path("/dev")

#: No bytes, no inodes, no quota.
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


class OverlayCapture:
    """The `Capture` of files and block devices by qcow2 overlays."""

    def __init__(self, hypervisor: Hypervisor) -> None:
        self._hypervisor = hypervisor

    def plan(self, vm: VirtualMachine, point_id: UUID, overlay_directory: Path | None) -> CapturePlan:
        """See `Capture.plan`.

        An overlay lies beside the disk's original file, or in ``overlay_directory``; there the disk's target
        is part of its name, because a VM's files in different directories may have equal names.
        """
        if not vm.disks:
            raise VmNotInDesirableState(f"{vm.name} has no disk that can be backed up")
        return CapturePlan(
            vm_uuid=vm.uuid,
            point_id=point_id,
            disks=tuple(_capture(disk, point_id, overlay_directory) for disk in vm.disks),
            excluded=tuple(target for target, _ in (*vm.skipped_disks, *vm.uncovered_disks)),
        )

    def check_space(self, plan: CapturePlan, minimum_free: int) -> None:
        """See `Capture.check_space`."""
        for directory in sorted({Path(disk.overlay).parent for disk in plan.disks}):
            _check_space(directory, minimum_free)

    def prepare(self, plan: CapturePlan, minimum_free: int) -> None:
        """See `Capture.prepare`."""
        self.check_space(plan, minimum_free)
        with self._hypervisor.domain(plan.vm_uuid) as domain:
            for disk in plan.disks:
                _check_disk(domain, disk)
        made: list[str] = []
        try:
            for disk in plan.disks:
                _reserve(disk.overlay)
                made.append(disk.overlay)
                _make_overlay(disk)
        except OverwinterError:
            _remove(made)
            raise

    def take(self, plan: CapturePlan) -> None:
        """See `Capture.take`."""
        with self._hypervisor.domain(plan.vm_uuid) as domain:
            _check_sizes(domain, plan)
            try:
                domain.snapshotCreateXML(_snapshot_xml(plan), _FLAGS)
            except libvirt.libvirtError as error:
                failure = translate(error)
                if isinstance(failure, HypervisorUnavailable):
                    raise failure from error
                # libvirt may fail after QEMU has switched to the overlays; the definition knows.
                if _was_taken(domain, plan):
                    return
                reason = f"the snapshot was not taken: {failure.message}"
                try:
                    self.discard(plan)
                except (ChainUnexpected, HypervisorUnavailable):
                    raise
                except (HypervisorError, ImageError) as left:
                    reason += f"; and {left.message}"
                raise SnapshotFailed(reason) from error

    def was_taken(self, plan: CapturePlan) -> bool:
        """See `Capture.was_taken`."""
        with self._hypervisor.domain(plan.vm_uuid) as domain:
            return _was_taken(domain, plan)

    def discard(self, plan: CapturePlan) -> None:
        """See `Capture.discard`. Also right when the VM does not exist any more."""
        with self._hypervisor.session() as connection:
            domain = _find(connection, plan)
            used = {path for disk in plan.disks for path in _images(domain, disk.target)} if domain else ()
            for disk in plan.disks:
                if disk.overlay in used or chain.is_named(connection, disk.overlay):
                    raise ChainUnexpected(f"{disk.overlay} belongs to a snapshot that was taken; it stays")
            runs = domain is not None and bool(domain.isActive())
            if runs and any(came_into_use(disk.overlay) for disk in plan.disks):
                lost_snapshot.take_back(domain, plan)
        lost_snapshot.require_unused(plan, runs=runs)
        _remove([disk.overlay for disk in plan.disks])


def _capture(disk: Disk, point_id: UUID, overlay_directory: Path | None) -> DiskCapture:
    original = Path(disk.original.path)
    directory, name = original.parent, original.name
    if overlay_directory is not None:
        directory, name = overlay_directory, f"{original.name}.{disk.target}"
    if directory.is_relative_to(_DEVICES):
        raise ChainUnexpected(
            f"disk {disk.target} is the block device {original}: an overlay cannot lie beside a device, "
            "and this version knows no other place for it"
        )
    return DiskCapture(
        target=disk.target,
        lun=disk.lun,
        size=disk.size,
        chain=tuple(layer.path for layer in disk.chain),
        formats=tuple(layer.format for layer in disk.chain),
        overlay=str(directory / (name + overlay_suffix(point_id))),
    )


def _check_space(directory: Path, minimum_free: int) -> None:
    try:
        free = shutil.disk_usage(directory).free
    except OSError as error:
        message = f"the directory for overlays cannot be used: {error}"
        raise SnapshotFailed(message, cause="C-DISK-STORAGE") from error
    if free < minimum_free:
        raise OverlaySpaceLow(
            f"{directory} has {free >> 20} MiB free and needs {minimum_free >> 20} MiB: a full overlay would "
            "pause the VM. Free some space there"
        )


def _check_disk(domain: libvirt.virDomain, disk: DiskCapture) -> None:
    layers = chain.current_chain(domain, disk.target)
    if tuple(layer.path for layer in layers) != disk.chain:
        raise ChainUnexpected(f"the images of disk {disk.target} changed while the backup was being prepared")
    if not domain.isActive():
        return
    if domain.blockJobInfo(disk.target):
        message = f"another block job is running on disk {disk.target}"
        raise VmNotInDesirableState(message, cause="C-BLOCK-JOB-STALE")
    if domain.isPersistent():
        _check_next_start(domain, disk)


def _check_next_start(domain: libvirt.virDomain, disk: DiskCapture) -> None:
    """libvirt moves the persistent definition to the overlay only when it names the image in use now."""
    try:
        persistent = chain.find_disk(chain.persistent_xml(domain), disk.target)
    except NotFound:
        return  # hot-plugged: it will not be there at the next start
    if persistent.source is None or persistent.source.path != disk.chain[0]:
        raise ChainUnexpected(
            f"disk {disk.target} uses {disk.chain[0]} now, but its persistent definition names another "
            "image; restart the VM or correct its definition"
        )


def _reserve(path: str) -> None:
    """A new empty file that only its owner reads; what fills it keeps its mode."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        raise SnapshotFailed(
            f"{path} exists already and was not touched; an interrupted snapshot must be discarded first"
        ) from None
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise OverlaySpaceLow(
                f"the overlay cannot be made: {error}. Free some space, inodes or quota there"
            ) from error
        raise SnapshotFailed(f"the overlay cannot be made: {error}", cause="C-DISK-STORAGE") from error


def _make_overlay(disk: DiskCapture) -> None:
    try:
        # -u: the image below is in use by the VM and is not opened; its size and format are known.
        backing = ("-b", disk.chain[0], "-F", disk.formats[0])
        qemu_img("create", "-q", "-u", "-f", "qcow2", *backing, disk.overlay, str(disk.size))
    except ImageError as error:
        raise SnapshotFailed(f"the overlay cannot be made: {error.message}") from error


def _check_sizes(domain: libvirt.virDomain, plan: CapturePlan) -> None:
    """An overlay made for another size would cut the disk off."""
    for disk in plan.disks:
        if domain.blockInfo(disk.target)[0] != disk.size:
            _remove([each.overlay for each in plan.disks])
            raise SnapshotFailed(f"disk {disk.target} was resized while the backup was being prepared")


def _snapshot_xml(plan: CapturePlan) -> str:
    root = Element("domainsnapshot")
    SubElement(root, "memory", {"snapshot": "no"})
    disks = SubElement(root, "disks")
    for capture in plan.disks:
        disk = SubElement(disks, "disk", {"name": capture.target, "snapshot": "external", "type": "file"})
        SubElement(disk, "driver", {"type": "qcow2"})
        SubElement(disk, "source", {"file": capture.overlay})
    for target in plan.excluded:
        SubElement(disks, "disk", {"name": target, "snapshot": "no"})
    return domain_xml.text(root)


def _was_taken(domain: libvirt.virDomain, plan: CapturePlan) -> bool:
    with_overlay = [disk.target for disk in plan.disks if disk.overlay in _images(domain, disk.target)]
    if with_overlay and len(with_overlay) < len(plan.disks):
        raise ChainUnexpected(f"only {', '.join(with_overlay)} went on in an overlay of this snapshot")
    return bool(with_overlay)


def _images(domain: libvirt.virDomain, target: str) -> set[str]:
    """Every image of the disk's live chain and its persistent definition; none without such a disk."""
    try:
        current = chain.current_chain(domain, target)
    except NotFound:
        return set()
    named = [disk.named for disk in domain_xml.disks(chain.persistent_xml(domain)) if disk.target == target]
    return {layer.path for layers in (current, *named) for layer in layers}


def _find(connection: libvirt.virConnect, plan: CapturePlan) -> libvirt.virDomain | None:
    """The plan's VM; None when it does not exist any more."""
    try:
        return connection.lookupByUUID(plan.vm_uuid.bytes)
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
            return None
        raise


def _remove(paths: Sequence[str]) -> None:
    for path in paths:
        try:
            # A read-only file system refuses to remove even what is not there.
            if Path(path).exists():
                Path(path).unlink(missing_ok=True)
        except OSError as error:
            raise HypervisorError(f"an unused overlay cannot be removed: {error}") from error
