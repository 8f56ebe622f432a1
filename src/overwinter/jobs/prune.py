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
from overwinter.model.names import is_overlay
from overwinter.model.point import RestorePoint
from overwinter.model.policy import MAX_RESTORE_POINTS, Policy
from overwinter.model.protection import ProtectedItem
from overwinter.model.retention import expired_restore_points
from overwinter.model.vm import Disk

#: One merge copies at most what the guest wrote in a few days; a merge that takes longer never ends.
MERGE_TIMEOUT_S = 4 * 3600.0


def expire(
    runtime: Runtime, item: ProtectedItem, policy: Policy, check: Callable[[], None] = lambda: None
) -> None:
    """Remove the item's expired restore points and shorten its chains accordingly.

    ``check`` is called between steps and may raise to stop; the next run goes on from there.
    """
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
            points.delete_restore_point(tx, point.id)
    merge_unneeded(runtime, item, check)


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
        kept = {
            active.id: track
            for active in items.of_machine(tx, item.vm_uuid)
            if (track := _track_after(tracks.of_item(tx, active.id).get(disk.target), merge)) is not None
        }
        for active in items.of_machine(tx, item.vm_uuid):
            tracks.delete(tx, active.id, disk.target)
        merges.begin(tx, merge)
    faults.place("merge.noted")

    def keep_tracks() -> None:
        base = identify(merge.base)
        with runtime.catalog.transaction() as tx:
            for track in kept.values():
                tracks.put(tx, replace(track, layers=_rebased(track, base)))

    _finish(runtime, merge, check, after=keep_tracks)


def _track_after(track: Track | None, merge: Merge) -> Track | None:
    """The track without the merged overlay, when it is certain that the merge keeps its content.

    Certain means: the track covers the overlay and the base, and both are unmodified since it was written.
    In every other case the track is forgotten and the disk's next transfer reads it in full.
    """
    if track is None:
        return None
    layers = [LayerIdentity.from_json(layer) for layer in track.layers]
    by_path = {layer.path: layer for layer in layers}
    if merge.overlay not in by_path or merge.base not in by_path:
        return None
    if any(identify(path) != by_path[path] for path in (merge.overlay, merge.base)):
        return None
    return replace(track, layers=tuple(x.to_json() for x in layers if x.path != merge.overlay))


def _rebased(track: Track, base: LayerIdentity) -> tuple[dict[str, str | int], ...]:
    return tuple(base.to_json() if layer["path"] == base.path else layer for layer in track.layers)


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
