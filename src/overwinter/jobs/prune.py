"""Clean-up of the snapshot tier: expired restore points go, unneeded overlays merge into the original.

What the chain must look like follows from the restore points alone: an overlay is needed exactly when some
point's frozen chain begins directly below it. So expiry is two independent, repeatable steps: delete the
rows of expired points, then merge every overlay that no point needs, lowest first. A crash between or inside
the steps is finished by the next run.
"""

from collections.abc import Callable
from dataclasses import replace

from overwinter.catalog import items, merges, points, tracks
from overwinter.catalog.merges import Merge
from overwinter.catalog.tracks import Track
from overwinter.hypervisor import inventory
from overwinter.hypervisor.limits import MergeLimits
from overwinter.hypervisor.merge import merge_lowest
from overwinter.images.identity import LayerIdentity, identify
from overwinter.jobs import faults
from overwinter.jobs.runtime import Runtime
from overwinter.model.errors import JobCancelled
from overwinter.model.job import JobError
from overwinter.model.names import is_overlay
from overwinter.model.point import RecoveryPoint, RestorePoint
from overwinter.model.policy import MAX_RESTORE_POINTS, Policy
from overwinter.model.protection import ProtectedItem
from overwinter.model.retention import expired_restore_points
from overwinter.model.vm import Disk

#: One merge copies at most what the guest wrote in a few days; a merge that takes longer never ends.
MERGE_TIMEOUT_S = 4 * 3600.0


def expire(
    runtime: Runtime, item: ProtectedItem, policy: Policy, check: Callable[[], None] = lambda: None
) -> tuple[JobError, ...]:
    """Remove the item's expired restore points and shorten its chains accordingly.

    Returns a warning for each point that goes with its snapshot because it never reached the vault. ``check``
    is called between steps and may raise to stop; the next run goes on from there.
    """
    warnings: list[JobError] = []
    with runtime.catalog.transaction() as tx:
        existing = points.restore_points_of(tx, item.vm_uuid)
        transferred = {
            point.id
            for point in existing
            if (found := points.recovery_point_of(tx, point.id)) is None or found.manifest is not None
        }
        for point in expired_restore_points(
            existing,
            now=runtime.clock(),
            days=policy.instant_retention_days,
            limit=MAX_RESTORE_POINTS,
            in_vault=lambda point: point.id in transferred,
        ):
            found = points.recovery_point_of(tx, point.id)
            if found is not None and found.manifest is None:
                warnings.append(lost_with_snapshot(found))
            points.delete_restore_point(tx, point.id)
    merge_unneeded(runtime, item, check)
    return tuple(warnings)


def lost_with_snapshot(point: RecoveryPoint) -> JobError:
    """The warning that a recovery point is gone because only its snapshot held it."""
    message = (
        f"Recovery point {point.id} of {point.created:%Y-%m-%d %H:%M} UTC was never transferred to the "
        "vault; it went with the VM's snapshots."
    )
    return JobError("RecoveryPointSnapshotOnly", message)


def merge_unneeded(runtime: Runtime, item: ProtectedItem, check: Callable[[], None] = lambda: None) -> None:
    """Merge every overlay of the VM that no restore point needs."""
    with runtime.catalog.transaction() as tx:
        begun = merges.of_machine(tx, item.vm_uuid)
    for merge in begun:
        _finish(runtime, merge, check, after=lambda: None)
    while True:
        with runtime.catalog.transaction() as tx:
            existing = points.restore_points_of(tx, item.vm_uuid)
        machine = inventory.machine(runtime.hypervisor, item.vm_uuid)
        machine.require_readable_disks()
        candidates = [pair for disk in machine.disks if (pair := _lowest_unneeded(disk, existing))]
        if not candidates:
            return
        for disk, overlay in candidates:
            check()
            _merge(runtime, item, disk, overlay, check)


def _lowest_unneeded(disk: Disk, existing: list[RestorePoint]) -> tuple[Disk, str] | None:
    """The overlay directly above the original, when no restore point freezes the original below it."""
    paths = [layer.path for layer in disk.chain]
    original = paths.index(disk.original.path)
    if original == 0 or not is_overlay(paths[original - 1]):
        return None
    needed = {
        captured.chain[0] for point in existing for captured in point.disks if captured.target == disk.target
    }
    return None if paths[original] in needed else (disk, paths[original - 1])


def _merge(
    runtime: Runtime, item: ProtectedItem, disk: Disk, overlay: str, check: Callable[[], None]
) -> None:
    merge = Merge(item.vm_uuid, disk.target, overlay, disk.original.path)
    with runtime.catalog.transaction() as tx:
        kept: list[Track] = []
        for each in items.of_machine(tx, item.vm_uuid):
            track = tracks.of_item(tx, each.id).get(disk.target)
            if track is not None and _certain(track, merge):
                kept.append(track)
            tracks.delete(tx, each.id, disk.target)
        merges.begin(tx, merge)
    faults.place("merge.noted")

    def keep_tracks() -> None:
        with runtime.catalog.transaction() as tx:
            for track in kept:
                tracks.put(tx, _renewed(track, merge))

    _finish(runtime, merge, check, after=keep_tracks)


def _certain(track: Track, merge: Merge) -> bool:
    """Whether it is certain that the merge keeps the content of the track's layers.

    Certain means: the track covers the overlay and the base, and all its layers are unmodified since it was
    written. In every other case the track is forgotten and the disk's next transfer reads it in full.
    """
    layers = [LayerIdentity.from_json(layer) for layer in track.layers]
    covers = {merge.overlay, merge.base} <= {layer.path for layer in layers}
    return covers and all(identify(layer.path) == layer for layer in layers)


def _renewed(track: Track, merge: Merge) -> Track:
    """The track after the merge: without the overlay, and with the identities that the merge has changed.

    These are the base, which has the overlay's data now, and the layer above, whose header names the base.
    """
    layers = [LayerIdentity.from_json(layer) for layer in track.layers]
    place = [layer.path for layer in layers].index(merge.overlay)
    changed = {place - 1, place + 1} - {-1}
    after = [identify(layer.path) if number in changed else layer for number, layer in enumerate(layers)]
    del after[place]
    return replace(track, layers=tuple(layer.to_json() for layer in after))


def _finish(runtime: Runtime, merge: Merge, check: Callable[[], None], after: Callable[[], None]) -> None:
    """Carry a merge that was noted to its end; every part may run again."""
    limits = MergeLimits(timeout_s=MERGE_TIMEOUT_S, cancelled=lambda: wants_stop(check))
    merge_lowest(runtime.hypervisor, merge.vm_uuid, merge.target, merge.overlay, limits)
    faults.place("merge.done")
    with runtime.catalog.transaction() as tx:
        merges.complete(tx, merge)
    after()


def wants_stop(check: Callable[[], None]) -> bool:
    """Whether ``check`` raises that the job was cancelled."""
    try:
        check()
    except JobCancelled:
        return True
    return False
