"""The extension of a VM on demand: how it is, installed now, taken away.

No backup needs this: it installs and renews the extension itself.
"""

from overwinter.guest.agent import GuestAgent
from overwinter.guest.extension import GuestExtension
from overwinter.jobs.runtime import Runtime
from overwinter.model.errors import GuestAgentUnavailable, GuestCommandFailed, VmNotInDesirableState
from overwinter.model.guest_extension import ExtensionStatus
from overwinter.model.vm import VirtualMachine


class ExtensionAdmin:
    """The extensions of all VMs. Every call asks the guest, bounded in time."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def status(self, vm: VirtualMachine) -> ExtensionStatus | None:
        """How the extension is; null when the guest cannot be asked."""
        if not vm.is_active:
            return None
        try:
            return self._of(vm).status()
        except (GuestAgentUnavailable, GuestCommandFailed):
            return None

    def install(self, vm: VirtualMachine) -> ExtensionStatus:
        """Install or repair it. Raises ExtensionUnavailable, ExtensionFailed, GuestAgentUnavailable."""
        extension = self._of(vm)
        extension.install()
        return extension.status()

    def remove(self, vm: VirtualMachine) -> None:
        """Take it away; the next backup brings it back. Raises as `install` does."""
        self._of(vm).remove()

    def _of(self, vm: VirtualMachine) -> GuestExtension:
        if not vm.is_active:
            raise VmNotInDesirableState(f"{vm.name} is not running, so nobody in it can be asked. Start it.")
        return GuestExtension(GuestAgent(self._runtime.hypervisor, vm.uuid))
