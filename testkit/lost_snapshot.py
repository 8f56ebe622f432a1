"""A snapshot that QEMU has made and libvirt does not know, as after a kill of its daemon in the middle."""

import json
import os
from pathlib import Path
from typing import Any

import libvirt
import libvirt_qemu

from overwinter.hypervisor.capture import CapturePlan


def snapshot_behind_libvirt(domain: libvirt.virDomain, plan: CapturePlan) -> None:
    """Let the running VM go on in the overlays of a plan, which are prepared."""
    for disk in plan.disks:
        owner = Path(disk.chain[0]).stat()  # libvirt has given it to QEMU's user
        os.chown(disk.overlay, owner.st_uid, owner.st_gid)
        _order(
            domain,
            "blockdev-snapshot-sync",
            {
                "node-name": _node_of(domain, disk.chain[0]),
                "snapshot-file": disk.overlay,
                "snapshot-node-name": f"lost-{disk.target}",
                "format": "qcow2",
                "mode": "existing",
            },
        )


def _node_of(domain: libvirt.virDomain, image: str) -> str:
    """The name of the node on which QEMU uses an image as a disk."""
    (name,) = (
        str(device["inserted"]["node-name"])
        for device in _order(domain, "query-block", {})
        if device.get("inserted", {}).get("image", {}).get("filename") == image
    )
    return name


def _order(domain: libvirt.virDomain, name: str, arguments: dict[str, str]) -> Any:
    order = json.dumps({"execute": name, "arguments": arguments})
    answer = json.loads(libvirt_qemu.qemuMonitorCommand(domain, order, 0))
    assert "return" in answer, answer
    return answer["return"]
