"""Step 4 on the host: room for overlays, and chains that are what the restore points say."""

from overwinter.doctor.check import Check, Finding, Step, failed, passed, warned
from overwinter.doctor.facts import Facts
from overwinter.hypervisor.capture import OVERLAY_RESERVE_BYTES
from overwinter.model.names import is_overlay
from overwinter.model.point import RestorePoint
from overwinter.model.vm import Disk

#: From this much on there is time to make more room before backups are refused.
COMFORTABLE_BYTES = 4 * OVERLAY_RESERVE_BYTES

_MIB = 1 << 20


def overlay_space(facts: Facts) -> Finding | None:
    """What the guest writes until its points expire has room."""
    rooms = facts.rooms.get()
    if not rooms:
        return None
    least = min(rooms, key=lambda room: room.free)
    values = {"directory": least.directory, "free": least.free // _MIB}
    if least.free < OVERLAY_RESERVE_BYTES:
        return failed("full", needed=OVERLAY_RESERVE_BYTES // _MIB, **values)
    return (warned if least.free < COMFORTABLE_BYTES else passed)("free", **values)


def disks_readable(facts: Facts) -> Finding | None:
    """Every disk that should be backed up can be looked into."""
    machine = facts.machine.get()
    if machine is None:
        return None
    if machine.unreadable_disks:
        disk = machine.unreadable_disks[0]
        return failed("unreadable", disk=disk.target, why=disk.reason)
    return passed()


def chain_as_expected(facts: Facts) -> Finding | None:
    """Each disk's chain ends in the frozen files of its restore points, and has no unknown overlay."""
    machine, records = facts.machine.get(), facts.records.get()
    if machine is None:
        return None
    if records.unsettled or records.active_jobs:
        return passed("changing")
    for disk in machine.disks:
        missing = _missing(disk, records.restore_points)
        if missing is not None:
            return failed("lost", disk=disk.target, file=missing)
        unknown = _unknown(disk, records.restore_points)
        if unknown is not None:
            return warned("left_over", disk=disk.target, file=unknown)
    return passed()


def _missing(disk: Disk, points: tuple[RestorePoint, ...]) -> str | None:
    """A frozen file of a restore point that the disk's chain does not have in its place."""
    now = tuple(layer.path for layer in disk.chain)
    for point in points:
        for held in point.disks:
            if held.target == disk.target and now[-len(held.chain) :] != held.chain:
                return next((path for path in held.chain if path not in now), held.chain[0])
    return None


def _unknown(disk: Disk, points: tuple[RestorePoint, ...]) -> str | None:
    """An overlay of ours in the chain that no restore point knows."""
    known = {
        path
        for point in points
        for held in point.disks
        if held.target == disk.target
        for path in (*held.chain, held.overlay)
    }
    ours = (layer.path for layer in disk.chain if is_overlay(layer.path))
    return next((path for path in ours if path not in known), None)


def no_foreign_snapshot(facts: Facts) -> Finding | None:
    """Nobody else has put an overlay on ours, or keeps snapshots of the VM."""
    machine = facts.machine.get()
    if machine is None:
        return None
    for disk in machine.disks:
        paths = [layer.path for layer in disk.chain]
        if not is_overlay(paths[0]) and any(is_overlay(path) for path in paths):
            return failed("on_top", disk=disk.target, file=paths[0])
    snapshots = facts.snapshots.get()
    if snapshots:
        return warned("kept", count=len(snapshots), name=snapshots[0])
    return passed()


def no_stale_block_job(facts: Facts) -> Finding | None:
    """No block job runs on a disk but those of a job that runs."""
    jobs = facts.block_jobs.get()
    if not jobs:
        return passed()
    if facts.records.get().active_jobs:
        return passed("by_job")
    standing = facts.standing_jobs.get()
    job = (standing or jobs)[0]
    say = failed if standing else warned
    return say("stale" if standing else "foreign", disk=job.target, done=job.done, total=job.total)


CHECKS = (
    Check("X4.1", Step.BACKUP, overlay_space, ("C-OVERLAY-SPACE",)),
    Check("X4.9", Step.BACKUP, disks_readable, ("C-IMAGE-AWAY", "C-IMAGE-DAMAGED")),
    Check("X4.2", Step.BACKUP, chain_as_expected, ("C-CHAIN-FOREIGN", "C-IMAGE-AWAY")),
    Check("X4.3", Step.BACKUP, no_foreign_snapshot, ("C-CHAIN-FOREIGN",)),
    Check("X4.4", Step.BACKUP, no_stale_block_job, ("C-BLOCK-JOB-STALE",)),
)
