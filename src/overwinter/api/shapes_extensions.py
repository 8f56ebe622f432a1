"""The extension of a VM as ARM writes it: a resource of its own, and a part of the instance view."""

from overwinter.api.ids import Ids
from overwinter.model.guest_extension import ExtensionStatus, ProvisioningState
from overwinter.model.names import LOCATION
from overwinter.model.vm import VirtualMachine

NAME = "VMSnapshotLinux"
PUBLISHER = "Overwinter"

_CODES = {
    ProvisioningState.SUCCEEDED: ("ProvisioningState/succeeded", "Info", "Provisioning succeeded"),
    ProvisioningState.CREATING: ("ProvisioningState/creating", "Info", "Creating"),
    ProvisioningState.FAILED: ("ProvisioningState/failed/1", "Error", "Provisioning failed"),
}


def is_installed(status: ExtensionStatus | None) -> bool:
    """Whether there is something to show."""
    return status is not None and status.state is not ProvisioningState.NOT_INSTALLED


def extension_shape(ids: Ids, vm: VirtualMachine, status: ExtensionStatus) -> dict[str, object]:
    """The extension as a resource; ``overwinter`` is ours."""
    return {
        "id": f"{ids.machine(vm.name)}/extensions/{NAME}",
        "name": NAME,
        "type": "Microsoft.Compute/virtualMachines/extensions",
        "location": LOCATION,
        "properties": {
            "publisher": PUBLISHER,
            "type": NAME,
            "typeHandlerVersion": status.version,
            "autoUpgradeMinorVersion": True,
            "provisioningState": status.state.value,
            "settings": {},
            "instanceView": extension_view(status),
            "overwinter": {"message": status.message},
        },
    }


def extension_view(status: ExtensionStatus) -> dict[str, object]:
    """The extension in a VM's instance view."""
    return {
        "name": NAME,
        "type": f"{PUBLISHER}.{NAME}",
        "typeHandlerVersion": status.version,
        "substatuses": [],
        "statuses": [{**_status(status), "message": status.message}],
    }


def handler_view(status: ExtensionStatus) -> dict[str, object]:
    """The extension as a handler of the VM's agent."""
    shown = {**_status(status), "displayStatus": "Ready"} if _is_good(status) else _status(status)
    return {"type": f"{PUBLISHER}.{NAME}", "typeHandlerVersion": status.version, "status": shown}


def _is_good(status: ExtensionStatus) -> bool:
    return status.state is ProvisioningState.SUCCEEDED


def _status(status: ExtensionStatus) -> dict[str, object]:
    code, level, shown = _CODES[status.state]
    return {"code": code, "level": level, "displayStatus": shown}
