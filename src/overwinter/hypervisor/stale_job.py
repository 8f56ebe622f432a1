"""Block jobs that somebody began on a VM's disk and left behind: found by their standing still, and ended.

Ending one loses nothing: a copy or a commit that has not pivoted leaves the disk as it was.
"""

import time
from uuid import UUID

from overwinter.hypervisor import blockjob, domain_xml
from overwinter.hypervisor.connection import Hypervisor

_POLL_SECONDS = 0.5


def stale_jobs(hypervisor: Hypervisor, vm_uuid: UUID, patience_s: float) -> list[str]:
    """Targets of the disks whose block job has not moved for ``patience_s`` seconds.

    A copy that is complete and waits for its maker stands still, too. Raises NotFound,
    HypervisorUnavailable.
    """
    seen = _progress(hypervisor, vm_uuid)
    until = time.monotonic() + patience_s
    while seen and time.monotonic() < until:
        time.sleep(_POLL_SECONDS)
        now = _progress(hypervisor, vm_uuid)
        seen = {target: at for target, at in seen.items() if now.get(target) == at}
    return sorted(seen)


def end(hypervisor: Hypervisor, vm_uuid: UUID, target: str) -> None:
    """End the block job on a disk. Raises BlockJobFailed when it does not end, NotFound."""
    with hypervisor.domain(vm_uuid) as domain:
        blockjob.stop(domain, target)


def _progress(hypervisor: Hypervisor, vm_uuid: UUID) -> dict[str, tuple[int, int, int]]:
    found = {}
    with hypervisor.domain(vm_uuid) as domain:
        if domain.isActive():
            for disk in domain_xml.disks(domain.XMLDesc()):
                info = domain.blockJobInfo(disk.target)
                if info:
                    found[disk.target] = (info["type"], info["cur"], info["end"])
    return found
