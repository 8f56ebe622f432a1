"""What others, or an interrupted job, may have left on a domain: snapshots, checkpoints, block jobs."""

from uuid import UUID

from overwinter.hypervisor import chain, domain_xml
from overwinter.hypervisor.connection import Hypervisor
from overwinter.model.vm import BlockJob


def block_jobs(hypervisor: Hypervisor, vm_uuid: UUID) -> tuple[BlockJob, ...]:
    """The block jobs that run on a VM's disks. Raises NotFound, HypervisorUnavailable."""
    found = []
    with hypervisor.domain(vm_uuid) as domain:
        if not domain.isActive():
            return ()
        for disk in domain_xml.disks(chain.live_xml(domain)):
            info = domain.blockJobInfo(disk.target) if disk.source is not None else None
            if info:
                found.append(BlockJob(disk.target, info["type"], info["cur"], info["end"]))
    return tuple(found)


def snapshots(hypervisor: Hypervisor, vm_uuid: UUID) -> tuple[str, ...]:
    """Names of the snapshots and checkpoints that libvirt keeps of a VM; ours are none of them.

    Raises NotFound, HypervisorUnavailable.
    """
    with hypervisor.domain(vm_uuid) as domain:
        kept = [*domain.listAllSnapshots(), *domain.listAllCheckpoints()]
        return tuple(sorted(each.getName() for each in kept))
