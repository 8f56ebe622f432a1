"""One block commit of a running VM: started or adopted, watched, pivoted, and believed only when the XML
shows it.

libvirt 9.0 loses some block-job events, and a process that waits for one may be killed; so nothing here
depends on events or on who started the job. The state is read again and again from the job's info and the
domain's XML.
"""

import contextlib
import time

import libvirt

from overwinter.hypervisor import chain
from overwinter.hypervisor.connection import translate
from overwinter.hypervisor.domain_xml import DiskElement
from overwinter.hypervisor.limits import MergeLimits
from overwinter.model.errors import BlockJobFailed, HypervisorError, JobCancelled
from overwinter.model.vm import ImageLayer

POLL_SECONDS = 0.1

#: libvirt may tell of a job's end a little before it changes the XML.
SETTLE_SECONDS = 10.0

#: XML and job info are two questions, and libvirt answers neither at one instant with the other while a job
#: begins or ends: what looks like somebody else's job counts only when it goes on doing so.
FOREIGN_SECONDS = 3.0

#: A job told to stop needs the time of one request to its storage.
STOP_SECONDS = 60.0

_ACTIVE_COMMIT = "active-commit"
_COMMITS = (libvirt.VIR_DOMAIN_BLOCK_JOB_TYPE_COMMIT, libvirt.VIR_DOMAIN_BLOCK_JOB_TYPE_ACTIVE_COMMIT)


def commit(
    domain: libvirt.virDomain,
    target: str,
    top: ImageLayer,
    base: ImageLayer,
    limits: MergeLimits,
    deadline: float,
) -> None:
    """Commit the layers from ``top`` down to, not including, ``base`` into ``base``, or carry on with a
    commit that runs.

    Returns when no commit runs on the disk any more and ``top`` has left its live chain; also when an adopted
    commit of other layers ended, or when the VM stopped: look at the chain again. ``deadline`` is by
    `time.monotonic`.

    Raises BlockJobFailed when the job ended without effect or did not end in time, JobCancelled. The chain is
    valid in each case.
    """
    try:
        adopted = bool(domain.blockJobInfo(target))
        if not adopted:
            _start(domain, target, top, base, limits)
        _watch(domain, target, top, base, limits, deadline, adopted=adopted)
    except libvirt.libvirtError:
        if domain.isActive():
            raise


def _watch(
    domain: libvirt.virDomain,
    target: str,
    top: ImageLayer,
    base: ImageLayer,
    limits: MergeLimits,
    deadline: float,
    *,
    adopted: bool,
) -> None:
    idle_since: float | None = None
    foreign_since: float | None = None
    while domain.isActive():
        disk = chain.find_disk(chain.live_xml(domain), target)
        info = domain.blockJobInfo(target)
        if not info and disk.mirror is None:
            if adopted or all(layer.path != top.path for layer in disk.named):
                return
            idle_since = idle_since or time.monotonic()
            if time.monotonic() - idle_since > SETTLE_SECONDS:
                raise BlockJobFailed(
                    f"committing {top.path} into {base.path} ended without effect; is there space for it, "
                    "and does its storage work? QEMU's reason is in libvirt's log of the VM"
                )
        else:
            idle_since = None
            if _is_ours(disk, info, base):
                foreign_since = None
                if info:
                    limits.progress(info["cur"], info["end"])
                _advance(domain, disk)
            else:
                foreign_since = foreign_since or time.monotonic()
                if time.monotonic() - foreign_since > FOREIGN_SECONDS:
                    raise BlockJobFailed(
                        f"another block job runs on disk {disk.target}; wait for its end or stop it"
                    )
        _check_limits(domain, target, limits, deadline)
        time.sleep(POLL_SECONDS)


def _start(
    domain: libvirt.virDomain, target: str, top: ImageLayer, base: ImageLayer, limits: MergeLimits
) -> None:
    flags = libvirt.VIR_DOMAIN_BLOCK_COMMIT_BANDWIDTH_BYTES
    if chain.current_chain(domain, target)[0].path == top.path:
        flags |= libvirt.VIR_DOMAIN_BLOCK_COMMIT_ACTIVE
    try:
        domain.blockCommit(target, base.path, top.path, limits.bandwidth, flags)
    except libvirt.libvirtError as error:
        failure = translate(error)
        if type(failure) is not HypervisorError:
            raise
        raise BlockJobFailed(
            f"committing {top.path} into {base.path} did not start: {failure.message}"
        ) from error


def _is_ours(disk: DiskElement, info: dict[str, int], base: ImageLayer) -> bool:
    """Only a commit is adopted, and one with a pivot to come only when it goes where ours would go."""
    if info and info["type"] not in _COMMITS:
        return False
    # libvirt 9.0 shows a mirror without its job for a moment after the pivot.
    mirror = disk.mirror
    return mirror is None or (mirror.job in (_ACTIVE_COMMIT, "") and mirror.path == base.path)


def _advance(domain: libvirt.virDomain, disk: DiskElement) -> None:
    if disk.mirror is None or disk.mirror.state != "yes":
        return
    flags = libvirt.VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT | libvirt.VIR_DOMAIN_BLOCK_JOB_ABORT_ASYNC
    # Refused when the guest has just written again: asked again at the next look, until the deadline.
    with contextlib.suppress(libvirt.libvirtError):
        domain.blockJobAbort(disk.target, flags)


def _check_limits(domain: libvirt.virDomain, target: str, limits: MergeLimits, deadline: float) -> None:
    if limits.cancelled():
        stop(domain, target)
        raise JobCancelled(f"the merge of disk {target} was cancelled; its chain is valid")
    if time.monotonic() > deadline:
        stop(domain, target)
        raise BlockJobFailed(
            f"the merge of disk {target} did not end within {limits.timeout_s:.0f} s; the guest may write "
            "faster than its storage copies. Its chain is valid; the merge is tried again later"
        )


def stop(domain: libvirt.virDomain, target: str) -> None:
    """Stop the job and wait until it is gone. A pivot that has begun cannot be stopped and is left to end."""
    until = time.monotonic() + STOP_SECONDS
    try:
        domain.blockJobAbort(target, libvirt.VIR_DOMAIN_BLOCK_JOB_ABORT_ASYNC)
        while domain.isActive() and domain.blockJobInfo(target) and time.monotonic() < until:
            time.sleep(POLL_SECONDS)
    except libvirt.libvirtError as error:
        if domain.isActive() and domain.blockJobInfo(target):
            raise BlockJobFailed(
                f"the block job on disk {target} cannot be stopped: {translate(error).message}"
            ) from error
