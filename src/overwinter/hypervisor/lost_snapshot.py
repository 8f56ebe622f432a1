"""Taking back a snapshot that QEMU has made and libvirt does not know.

libvirt's daemon may be killed after QEMU has opened the overlays, or has gone on in them, and before it has
noted that. Then it names the images below for as long as the VM runs, and refuses every further snapshot; and
when the VM stops, its next start is from those images, without all that it wrote since. So the overlays go
down into the images below, and QEMU closes them: libvirt is right again. Found by killing libvirtd at random
instants (libvirt 9.0, QEMU 7.2).

Per disk, each step seen again by whoever comes after a kill of ours:

1. a commit of the overlay, under a name of ours. It is not dismissed: QEMU keeps it as a note
2. it is told to end once nothing is left to copy: the guest goes on in the image below
3. QEMU closes the overlay
4. the file is removed, which is safe because the note of step 1 says that the commit has succeeded
5. the note is dismissed

When the VM stops before step 4, the file stays: nobody can tell any more.
"""

import json
import logging
import shlex
import time
from pathlib import Path
from typing import Any

import libvirt

from overwinter.hypervisor.capture import CapturePlan
from overwinter.hypervisor.monitor import monitor_command
from overwinter.images.untouched import came_into_use
from overwinter.model.errors import BlockJobFailed, ChainUnexpected, HypervisorError
from overwinter.model.point import DiskCapture

_log = logging.getLogger(__name__)

#: Seconds to wait for all disks of a VM. The guest has written for as long as it took to notice: seconds, as
#: a rule. QEMU goes on with what takes longer, and the next look, within a minute, waits for it again.
TIME_LIMIT_S = 60.0

_POLL_S = 0.1
_CONCLUDED = "concluded"
_OPTIONS = "json:"


def take_back(domain: libvirt.virDomain, plan: CapturePlan) -> None:
    """Let a running VM go on in the images below the plan's overlays, where only QEMU knows of these.

    Nothing happens where it does not use them. Raises BlockJobFailed when that takes longer than
    `TIME_LIMIT_S`, or failed (no space below): the next call goes on with it. Raises ChainUnexpected,
    HypervisorError.
    """
    deadline = time.monotonic() + TIME_LIMIT_S
    for disk in plan.disks:
        if not domain.isActive():
            return
        job = f"overwinter-{plan.point_id.hex[:12]}-{disk.target}"
        if _is_written(domain, disk) or _job(domain, job) is not None:
            _log.warning("%s is unknown to libvirt and goes back into %s", disk.overlay, disk.chain[0])
            _commit(domain, disk, job, deadline)
            _close(domain, disk)
            _remove(disk)
            monitor_command(domain, "job-dismiss", {"id": job})
        else:
            _close(domain, disk)


def require_unused(plan: CapturePlan, *, runs: bool) -> None:
    """Raise ChainUnexpected, which says what to do, unless the plan's overlays never came into use.

    ``runs``: the VM does, and does not use them. Raises ImageError when one cannot be read.
    """
    for disk in plan.disks:
        use = came_into_use(disk.overlay)
        if use is None:
            continue
        lost = f"{disk.overlay} {use}, and libvirt does not know of it: it ended in the middle of a snapshot."
        if runs or _went_on_without(plan):
            raise ChainUnexpected(
                f"{lost} The VM has been started since, without it: what it wrote between the snapshot and "
                "that start is in that file alone. To merge it now would destroy the disk. Delete it, and "
                "those of the VM's other disks, once nobody misses what was written then"
            )
        raise ChainUnexpected(
            f"{lost} What the VM wrote last is in that file alone. The VM is off. Before it starts again, "
            f"run `qemu-img commit -f qcow2 {shlex.quote(disk.overlay)}`, and the same for its other disks"
        )


def _went_on_without(plan: CapturePlan) -> bool:
    """Whether an image below was written to after all overlays were. What cannot be seen counts as if."""
    try:
        below = max(Path(disk.chain[0]).stat().st_mtime_ns for disk in plan.disks)
        overlays = max(Path(disk.overlay).stat().st_mtime_ns for disk in plan.disks)
    except OSError:
        return True
    return below > overlays


def _is_written(domain: libvirt.virDomain, disk: DiskCapture) -> bool:
    """Whether the guest goes on in the overlay."""
    devices: Any = monitor_command(domain, "query-block")
    return any(_is_of(device.get("inserted", {}).get("file", ""), disk.overlay) for device in devices)


def _nodes(domain: libvirt.virDomain, path: str) -> list[Any]:
    nodes: Any = monitor_command(domain, "query-named-block-nodes", {"flat": True})
    return [node for node in nodes if _is_of(node["file"], path)]


def _is_of(name: str, path: str) -> bool:
    """Whether a name that QEMU gives an open image means that file.

    An image whose options differ from what its header says, such as an overlay that does not rest on anything
    yet, has a pseudo-protocol name with all of them (``json:`` in QEMU's ``docs/system/qemu-block-drivers``).
    """
    if not name.startswith(_OPTIONS):
        return name == path
    options = json.loads(name.removeprefix(_OPTIONS))
    file = options.get("file")
    return path in (options.get("filename"), file.get("filename") if isinstance(file, dict) else None)


def _node(domain: libvirt.virDomain, path: str, image_format: str) -> str:
    names = [str(node["node-name"]) for node in _nodes(domain, path) if node["drv"] == image_format]
    if len(names) != 1:
        raise ChainUnexpected(
            f"QEMU goes on in an overlay that libvirt does not know, and has {path} open {len(names)} times"
        )
    return names[0]


def _job(domain: libvirt.virDomain, name: str) -> Any:
    jobs: Any = monitor_command(domain, "query-jobs")
    return next((job for job in jobs if job["id"] == name), None)


def _commit(domain: libvirt.virDomain, disk: DiskCapture, name: str, deadline: float) -> None:
    if _job(domain, name) is None:
        order = {
            "job-id": name,
            "device": _node(domain, disk.overlay, "qcow2"),
            "base-node": _node(domain, disk.chain[0], disk.formats[0]),
            "auto-dismiss": False,
        }
        monitor_command(domain, "block-commit", order)
    while (job := _job(domain, name)) is not None and job["status"] != _CONCLUDED:
        if job["status"] == "ready":
            monitor_command(domain, "job-complete", {"id": name})
        if time.monotonic() > deadline:
            raise BlockJobFailed(
                f"the data of {disk.overlay}, an overlay that libvirt does not know, is still being brought "
                f"back to {disk.chain[0]}; do not stop the VM"
            )
        time.sleep(_POLL_S)
    if job is None:
        raise BlockJobFailed(f"somebody else ended the commit of {disk.overlay}; it is looked at again")
    if "error" in job or _is_written(domain, disk):
        monitor_command(domain, "job-dismiss", {"id": name})
        raise BlockJobFailed(
            f"{disk.overlay}, an overlay that libvirt does not know, was not merged into {disk.chain[0]}: "
            f"{job.get('error', 'somebody cancelled it')}. It is tried again. Do not stop the VM before: it "
            "would start without what it wrote"
        )


def _close(domain: libvirt.virDomain, disk: DiskCapture) -> None:
    """Let QEMU close the overlay, which no disk uses: the format first, which uses the file."""
    for node in sorted(_nodes(domain, disk.overlay), key=lambda node: node["drv"] == "file"):
        monitor_command(domain, "blockdev-del", {"node-name": node["node-name"]})


def _remove(disk: DiskCapture) -> None:
    try:
        Path(disk.overlay).unlink(missing_ok=True)
    except OSError as error:
        raise HypervisorError(f"the merged overlay cannot be removed: {error}") from error
