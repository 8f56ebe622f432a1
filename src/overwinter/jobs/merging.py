"""Making a VM's chains as short as its restore points allow: unneeded overlays merge into the original.

What the chain must look like follows from the restore points alone: an overlay is needed exactly when some
point's frozen chain begins directly below it. All others merge, lowest first, one at a time; a crash between
or inside merges is finished by the next run. While a lock holds any of the VM's points no merge begins,
because the layers it would write to are theirs too.
"""

from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

from overwinter.catalog import items, merges, points, tracks
from overwinter.catalog.merges import Merge
from overwinter.catalog.tracks import Track
from overwinter.hypervisor import inventory
from overwinter.hypervisor.limits import MergeLimits
from overwinter.hypervisor.merge import merge_lowest
from overwinter.images.identity import LayerIdentity, identify
from overwinter.jobs import faults, locking, shield
from overwinter.jobs.runtime import Runtime
from overwinter.model.errors import JobCancelled
from overwinter.model.names import is_overlay
from overwinter.model.point import RestorePoint
from overwinter.model.vm import Disk

#: One merge copies at most what the guest wrote in a few days; a merge that takes longer never ends.
MERGE_TIMEOUT_S = 4 * 3600.0


def merge_unneeded(runtime: Runtime, vm_uuid: UUID, check: Callable[[], None] = lambda: None) -> None:
    """Merge every overlay of the VM that no restore point needs."""
    while merge_next(runtime, vm_uuid, check):
        pass


def merge_next(runtime: Runtime, vm_uuid: UUID, check: Callable[[], None]) -> bool:
    """One merge, or the end of one that was begun; False when there is none to do, or a lock forbids it.

    ``check`` is called before and may raise to stop. Raises NotFound when the VM does not exist.
    """
    check()
    with runtime.catalog.transaction() as tx:
        begun = merges.of_machine(tx, vm_uuid)
        existing = points.restore_points_of(tx, vm_uuid)
    # Flags that a removed lock left, or that a lock set on a merge that had just begun, would stop it.
    shield.settle(runtime, vm_uuid)
    if begun:
        _finish(runtime, begun[0], check, after=lambda: None)
        shield.settle(runtime, vm_uuid)
        return True
    machine = inventory.machine(runtime.hypervisor, vm_uuid)
    machine.require_readable_disks()
    candidates = [pair for disk in machine.disks if (pair := _lowest_unneeded(disk, existing))]
    if not candidates:
        return False
    disk, overlay = candidates[0]
    return _merge(runtime, vm_uuid, disk, overlay, check)


def is_due(runtime: Runtime, vm_uuid: UUID) -> bool:
    """Whether there is a merge to begin or to end. Raises NotFound when the VM does not exist."""
    with runtime.catalog.transaction() as tx:
        if merges.of_machine(tx, vm_uuid):
            return True
        existing = points.restore_points_of(tx, vm_uuid)
        held = locking.held_points(tx, vm_uuid)
    disks = inventory.machine(runtime.hypervisor, vm_uuid).disks
    return not held and any(_lowest_unneeded(disk, existing) for disk in disks)


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


def _merge(runtime: Runtime, vm_uuid: UUID, disk: Disk, overlay: str, check: Callable[[], None]) -> bool:
    """False, with nothing changed, when a lock holds any of the VM's points."""
    merge = Merge(vm_uuid, disk.target, overlay, disk.original.path)
    with runtime.catalog.transaction() as tx:
        if locking.held_points(tx, vm_uuid):
            return False
        kept: list[Track] = []
        for each in items.of_machine(tx, vm_uuid):
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
    return True


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
