"""Snapshots that came to no end: their job is gone, or libvirt's daemon was killed in the middle of one."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import libvirt

from overwinter.catalog import captures
from overwinter.catalog.captures import Capture
from overwinter.hypervisor import inventory
from overwinter.hypervisor.capture import CapturePlan
from overwinter.hypervisor.monitor import monitor_command
from overwinter.hypervisor.overlay_capture import OverlayCapture
from overwinter.jobs.runtime import Runtime


def interrupted(runtime: Runtime, name: str) -> CapturePlan:
    """A snapshot of that VM that died with its job before it was taken: a note, and overlays."""
    method = OverlayCapture(runtime.hypervisor)
    machine = inventory.machine(runtime.hypervisor, name)
    plan = method.plan(machine, uuid4(), None)
    note = Capture(plan.point_id, uuid4(), machine.uuid, machine.name, datetime.now(UTC), plan.disks)
    with runtime.catalog.transaction() as tx:
        captures.insert(tx, note)
    method.prepare(plan, 1)
    return plan


def snapshot_behind_libvirt(
    domain: libvirt.virDomain, plan: CapturePlan, *, only_opened: bool = False
) -> None:
    """Let the running VM go on in the overlays of a plan, which are prepared; or QEMU open them, no more.

    With the orders, and in the order, in which libvirt 9.0 does it.
    """
    for disk in plan.disks:
        owner = Path(disk.chain[0]).stat()  # libvirt has given it to QEMU's user
        os.chown(disk.overlay, owner.st_uid, owner.st_gid)
        storage, image = f"lost-{disk.target}-storage", f"lost-{disk.target}-format"
        file = {"driver": "file", "filename": disk.overlay, "auto-read-only": True, "discard": "unmap"}
        monitor_command(domain, "blockdev-add", {"node-name": storage, **file})
        layer = {"driver": "qcow2", "file": storage, "backing": None, "read-only": False}
        monitor_command(domain, "blockdev-add", {"node-name": image, **layer})
    if only_opened:
        return
    actions = [
        {
            "type": "blockdev-snapshot",
            "data": {"node": _node_of(domain, disk.chain[0]), "overlay": f"lost-{disk.target}-format"},
        }
        for disk in plan.disks
    ]
    monitor_command(domain, "transaction", {"actions": actions})


def _node_of(domain: libvirt.virDomain, image: str) -> str:
    """The name of the node on which QEMU uses an image as a disk."""
    devices: Any = monitor_command(domain, "query-block")
    (name,) = (
        str(device["inserted"]["node-name"])
        for device in devices
        if device.get("inserted", {}).get("image", {}).get("filename") == image
    )
    return name
