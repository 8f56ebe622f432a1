"""Block jobs that somebody began on a VM's disk and left behind: found by their standing still, and ended.

Ending one loses nothing: a copy or a commit that has not pivoted leaves the disk as it was.
"""

import time
from uuid import UUID

from overwinter.hypervisor import blockjob
from overwinter.hypervisor.connection import Hypervisor
from overwinter.hypervisor.traces import block_jobs
from overwinter.model.vm import BlockJob

_POLL_SECONDS = 0.5


def stale_jobs(hypervisor: Hypervisor, vm_uuid: UUID, patience_s: float) -> list[str]:
    """Targets of the disks whose block job has not moved for ``patience_s`` seconds.

    A copy that is complete and waits for its maker stands still, too. Raises NotFound,
    HypervisorUnavailable.
    """
    return sorted(job.target for job in standing(hypervisor, vm_uuid, patience_s))


def standing(hypervisor: Hypervisor, vm_uuid: UUID, patience_s: float) -> set[BlockJob]:
    """As `stale_jobs`, with how far each has come."""
    seen = set(block_jobs(hypervisor, vm_uuid))
    until = time.monotonic() + patience_s
    while seen and time.monotonic() < until:
        time.sleep(_POLL_SECONDS)
        seen &= set(block_jobs(hypervisor, vm_uuid))
    return seen


def end(hypervisor: Hypervisor, vm_uuid: UUID, target: str) -> None:
    """End the block job on a disk. Raises BlockJobFailed when it does not end, NotFound."""
    with hypervisor.domain(vm_uuid) as domain:
        blockjob.stop(domain, target)
