"""Making a disk's chain shorter: the oldest overlay goes down into the original, or all of them do.

Both work on running and on stopped VMs, look at the chain anew after every step, and can be called again
after being killed at any moment: a running job is adopted, what is done is seen, and an overlay file is
removed only when no definition and no chain contains it.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

import libvirt

from overwinter.hypervisor import blockjob, chain
from overwinter.hypervisor.connection import Hypervisor
from overwinter.hypervisor.limits import MergeLimits
from overwinter.hypervisor.persistent import set_disk_image
from overwinter.images.commit import merge_down
from overwinter.model.errors import BlockJobFailed, ChainUnexpected, HypervisorError, ImageError, JobCancelled
from overwinter.model.names import is_overlay
from overwinter.model.vm import ImageLayer, original_index

#: A VM that is started or stopped in the middle of a step makes us begin it again, but not for ever.
MAX_ATTEMPTS = 5


def merge_lowest(
    hypervisor: Hypervisor, vm_uuid: UUID, target: str, overlay: str, limits: MergeLimits
) -> None:
    """Merge ``overlay``, our lowest, into the original image below it, and remove its file.

    From its beginning, finished or not, the restore point that ends in the original image is lost; all later
    ones stay.

    Done already when the disk's chain no longer contains it; a left file is removed then.

    Raises ChainUnexpected (not our lowest overlay; nothing changed), BlockJobFailed (the chain is valid),
    JobCancelled, NotFound, HypervisorError, HypervisorUnavailable.
    """
    with hypervisor.domain(vm_uuid) as domain:
        _merge(domain, target, overlay, limits, time.monotonic() + limits.timeout_s, online_top=None)
        _finish(domain, target, [overlay])


def flatten(
    hypervisor: Hypervisor,
    vm_uuid: UUID,
    target: str,
    original: str,
    overlays: Sequence[str],
    limits: MergeLimits,
) -> None:
    """Merge every overlay above ``original`` into it: the VM uses its original file in its original format.

    ``overlays`` are all overlay files the catalog knows of this disk; those and the ones found in the chain
    are removed at the end. A running VM's chain goes down in one job; ``original`` may have a backing file,
    which stays.

    Raises as `merge_lowest`; ChainUnexpected when the chain has no ``original`` or holds a foreign image
    above it.
    """
    deadline = time.monotonic() + limits.timeout_s
    with hypervisor.domain(vm_uuid) as domain:
        layers = chain.current_chain(domain, target)
        found = _overlays_above(layers, original, target)
        while found:
            _merge(domain, target, found[-1], limits, deadline, online_top=found[0])
            found = _overlays_above(chain.current_chain(domain, target), original, target)
        _finish(domain, target, [*(layer.path for layer in layers if is_overlay(layer.path)), *overlays])


def _overlays_above(layers: chain.Chain, original: str, target: str) -> list[str]:
    paths = [layer.path for layer in layers]
    if original not in paths:
        raise ChainUnexpected(f"disk {target} does not rest on {original} any more; nothing was changed")
    above = paths[: paths.index(original)]
    foreign = [path for path in above if not is_overlay(path)]
    if foreign:
        raise ChainUnexpected(
            f"disk {target} has an image above {original} that is not ours: {foreign[0]}; merge or remove "
            "that snapshot first"
        )
    return above


def _merge(
    domain: libvirt.virDomain,
    target: str,
    overlay: str,
    limits: MergeLimits,
    deadline: float,
    online_top: str | None,
) -> None:
    """Merge ``overlay`` into the image below; of a running VM everything from ``online_top`` down."""
    for _attempt in range(MAX_ATTEMPTS):
        layers = chain.current_chain(domain, target)
        paths = [layer.path for layer in layers]
        if overlay not in paths:
            return
        index = paths.index(overlay)
        lower = layers[original_index(paths)]
        if not is_overlay(overlay) or paths[index + 1] != lower.path:
            raise ChainUnexpected(
                f"{overlay} is not the lowest overlay of disk {target}; nothing was changed"
            )
        if domain.isActive():
            top = index if online_top not in paths else paths.index(online_top)
            blockjob.commit(domain, target, layers[top], lower, limits, deadline)
        else:
            _merge_stopped(domain, target, layers, index, limits, deadline)
    raise BlockJobFailed(
        f"disk {target} was started and stopped again and again during its merge; try again later"
    )


def _merge_stopped(
    domain: libvirt.virDomain,
    target: str,
    layers: chain.Chain,
    index: int,
    limits: MergeLimits,
    deadline: float,
) -> None:
    """One layer of a stopped VM. QEMU's image locks keep the VM from starting during the work."""
    if limits.cancelled():
        raise JobCancelled(f"the merge of disk {target} was cancelled; its chain is valid")
    remaining = deadline - time.monotonic()
    if remaining <= 0:
        raise BlockJobFailed(
            f"the merge of disk {target} did not end within {limits.timeout_s:.0f} s; its chain is valid"
        )
    # The definition must not spell out layers that are about to go.
    set_disk_image(domain, target, layers[0])
    try:
        above = layers[index - 1] if index else None
        merge_down(layers[index], layers[index + 1], above, timeout=remaining, cancelled=limits.cancelled)
    except ImageError as error:
        if domain.isActive() and not isinstance(error, ChainUnexpected):
            return  # started meanwhile: its QEMU holds the images now and does the merge
        raise BlockJobFailed(f"{layers[index].path} was not merged: {error.message}") from error
    if index == 0:
        _leave_overlay(domain, target, layers[0], layers[1])


def _leave_overlay(domain: libvirt.virDomain, target: str, overlay: ImageLayer, lower: ImageLayer) -> None:
    """Let a stopped VM use ``lower``, unless it was started on ``overlay`` at this very moment."""
    set_disk_image(domain, target, lower)
    if domain.isActive() and chain.current_chain(domain, target)[0] == overlay:
        set_disk_image(domain, target, overlay, instead_of=[lower.path])


def _finish(domain: libvirt.virDomain, target: str, overlays: Sequence[str]) -> None:
    """Let the persistent definition follow, then remove overlay files that nothing refers to any more."""
    layers = chain.current_chain(domain, target)
    set_disk_image(domain, target, layers[0])
    still_used = {layer.path for layer in layers}
    for path in dict.fromkeys(overlays):
        if not is_overlay(path):
            raise ChainUnexpected(f"{path} is not an overlay of ours; it stays")
        if path in still_used or chain.is_named(domain.connect(), path):
            raise BlockJobFailed(f"{path} was merged, but a definition still names it; it stays")
        try:
            Path(path).unlink(missing_ok=True)
        except OSError as error:
            raise HypervisorError(f"the merged overlay cannot be removed: {error}") from error
