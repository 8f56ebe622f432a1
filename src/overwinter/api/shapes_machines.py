"""Virtual machines as ARM's compute API writes them."""

from datetime import datetime

from overwinter.api.ids import Ids
from overwinter.api.shapes_extensions import extension_view, handler_view, is_installed
from overwinter.api.times import stamp
from overwinter.model.agent import AgentState, AgentStatus
from overwinter.model.guest_extension import ExtensionStatus
from overwinter.model.names import LOCATION
from overwinter.model.vm import Disk, Firmware, PowerState, VirtualMachine

_GIB = 1 << 30
_MIB = 1 << 20

_STATE_TEXT = {
    PowerState.RUNNING: "VM running",
    PowerState.PAUSED: "VM paused",
    PowerState.STOPPED: "VM stopped",
    PowerState.STARTING: "VM starting",
    PowerState.STOPPING: "VM stopping",
    PowerState.UNKNOWN: "VM state unknown",
}


def disk_name(vm: str, lun: int) -> str:
    """Name of a disk: ``<vm>-os`` or ``<vm>-d<lun>``."""
    return f"{vm}-os" if lun < 0 else f"{vm}-d{lun}"


def machine_shape(ids: Ids, vm: VirtualMachine) -> dict[str, object]:
    """A VM without its instance view. What lies under ``overwinter`` is ours and not part of ARM."""
    return {
        "id": ids.machine(vm.name),
        "name": vm.name,
        "type": "Microsoft.Compute/virtualMachines",
        "location": LOCATION,
        "tags": {},
        "zones": [],
        "resources": [],
        "properties": {
            "vmId": str(vm.uuid),
            "provisioningState": "Failed" if vm.failure else "Succeeded",
            "hardwareProfile": {"vmSize": machine_size(vm)},
            "storageProfile": {
                "osDisk": next((_disk(ids, vm, disk) for disk in vm.disks if disk.lun < 0), None),
                "dataDisks": [_disk(ids, vm, disk) for disk in vm.disks if disk.lun >= 0],
            },
            "networkProfile": {"networkInterfaces": []},
            "overwinter": {
                "state": vm.state.value,
                "failure": vm.failure,
                "persistent": vm.persistent,
                "vcpus": vm.vcpus,
                "memoryBytes": vm.memory_bytes,
                "firmware": vm.firmware.value,
                "agentChannel": vm.agent_channel,
                "agentConnected": vm.agent_connected,
                "disks": [_own_disk(disk) for disk in vm.disks],
                "skippedDisks": [
                    {"target": target, "reason": reason}
                    for target, reason in (
                        *vm.skipped_disks,
                        *vm.uncovered_disks,
                        *((disk.target, disk.reason) for disk in vm.unreadable_disks),
                    )
                ],
            },
        },
    }


def instance_view(
    vm: VirtualMachine, agent: AgentStatus, extension: ExtensionStatus | None, now: datetime
) -> dict[str, object]:
    """How a VM is at this moment, its guest agent and extension included; null for one not to be asked."""
    installed = [extension] if extension is not None and is_installed(extension) else []
    good = {"code": "ProvisioningState/succeeded", "level": "Info", "displayStatus": "Provisioning succeeded"}
    return {
        "computerName": agent.hostname,
        "osName": agent.system.name if agent.system else None,
        "osVersion": agent.system.version if agent.system else None,
        "hyperVGeneration": "V2" if vm.firmware is Firmware.UEFI else "V1",
        "vmAgent": {**_agent(agent, now), "extensionHandlers": [handler_view(each) for each in installed]},
        "disks": [
            {"name": disk_name(vm.name, disk.lun), "statuses": [{**good, "time": stamp(now)}]}
            for disk in vm.disks
        ],
        "extensions": [extension_view(each) for each in installed],
        "statuses": [
            {**good, "time": stamp(now)},
            {"code": f"PowerState/{vm.state.value}", "level": "Info", "displayStatus": _STATE_TEXT[vm.state]},
        ],
    }


def _agent(agent: AgentStatus, now: datetime) -> dict[str, object]:
    """The agent in ARM's two words; which of the seven states it is in lies under ``overwinter``."""
    status = {"code": "ProvisioningState/Unavailable", "level": "Warning", "displayStatus": "Not Ready"}
    if agent.state.can_freeze:
        level = "Info" if agent.state is AgentState.READY else "Warning"
        status = {"code": "ProvisioningState/succeeded", "level": level, "displayStatus": "Ready"}
    return {
        "vmAgentVersion": agent.version or "Unknown",
        "statuses": [{**status, "message": agent.reason, "time": stamp(now)}],
        "overwinter": {
            "state": agent.state.value,
            "lastSeen": None if agent.last is None else stamp(agent.last.time),
        },
    }


def machine_size(vm: VirtualMachine) -> str:
    """A size name that tells processors and memory: ``4vcpu-8192MiB``."""
    return f"{vm.vcpus}vcpu-{vm.memory_bytes // _MIB}MiB"


def _disk(ids: Ids, vm: VirtualMachine, disk: Disk) -> dict[str, object]:
    name = disk_name(vm.name, disk.lun)
    shape: dict[str, object] = {
        "name": name,
        "createOption": "Attach",
        "caching": "None",
        "diskSizeGB": -(-disk.size // _GIB),
        "managedDisk": {"id": ids.disk(name), "storageAccountType": disk.media or "Standard_LRS"},
    }
    # The host does not know which system a disk holds; ARM has no word for that.
    return {"osType": "Linux", **shape} if disk.lun < 0 else {"lun": disk.lun, "toBeDetached": False, **shape}


def _own_disk(disk: Disk) -> dict[str, object]:
    return {
        "target": disk.target,
        "lun": disk.lun,
        "size": disk.size,
        "chain": [{"path": layer.path, "format": layer.format} for layer in disk.chain],
    }
