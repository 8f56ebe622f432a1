"""A VM that stands still runs on."""

from uuid import UUID

from overwinter.hypervisor.connection import Hypervisor


def resume(hypervisor: Hypervisor, vm_uuid: UUID) -> None:
    """Let a paused VM run on. Raises NotFound, HypervisorError when libvirt refuses."""
    with hypervisor.domain(vm_uuid) as domain:
        domain.resume()
