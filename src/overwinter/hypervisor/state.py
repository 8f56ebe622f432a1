"""What belongs to a virtual machine besides its disks: its definition and its firmware's variables.

Not covered: the state of an emulated TPM (swtpm keeps it in a directory of its own, by UUID), the contents of
libvirt secrets, and a kernel and initrd that the host boots the guest with. A restored VM starts with an
empty TPM, and refers to the host's secrets and kernel as the original did.
"""

from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from overwinter.hypervisor import chain, domain_xml
from overwinter.hypervisor.connection import Hypervisor
from overwinter.model.errors import HypervisorError

#: Variable stores are 64 KiB to 64 MiB; anything larger is something else.
MAX_NVRAM_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class VmState:
    """``xml`` is the domain's definition with secrets: keep it as safe as the disks. ``nvram`` holds the
    bytes of the firmware's variable store; null when the VM has none.
    """

    xml: str
    nvram: bytes | None


def read_state(hypervisor: Hypervisor, vm_uuid: UUID) -> VmState:
    """Definition and NVRAM of a running or stopped VM.

    The persistent definition is preferred, because it is what the owner wrote; a running VM that has disks
    which it lacks (hot-plugged) is described as it runs.

    Raises NotFound, HypervisorError, HypervisorUnavailable.
    """
    with hypervisor.domain(vm_uuid) as domain:
        live = chain.live_xml(domain)
        persistent = chain.persistent_xml(domain)
        running = chain.running_xml(domain)
    hot_plugged = _targets(live) - _targets(persistent)
    return VmState(xml=running if hot_plugged else persistent, nvram=_read_nvram(live))


def _targets(xml: str) -> set[str]:
    return {disk.target for disk in domain_xml.disks(xml)}


def _read_nvram(xml: str) -> bytes | None:
    element = domain_xml.parse(xml).find("./os/nvram")
    if element is None:
        return None
    path = (element.text or "").strip() or domain_xml.source_path(element)
    if not path:
        return None
    try:
        with Path(path).open("rb") as file:
            content = file.read(MAX_NVRAM_BYTES + 1)
    except FileNotFoundError:
        # Made at the first start; a VM that never ran has none yet.
        return None
    except OSError as error:
        raise HypervisorError(f"the firmware variables in {path} cannot be read: {error}") from error
    if len(content) > MAX_NVRAM_BYTES:
        raise HypervisorError(f"{path} is larger than any firmware variable store")
    return content
