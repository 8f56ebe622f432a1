"""Protected items, their containers, and VMs that can be protected, as ARM writes them."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from overwinter.api.ids import Ids, container_name
from overwinter.api.shapes_errors import Audience, health, health_detail
from overwinter.api.times import NEVER_BACKED_UP, duration, stamp, stamp_or_none
from overwinter.codebook.book import Health
from overwinter.codebook.texts import Names
from overwinter.doctor.diagnosis import Diagnosis
from overwinter.model.job import JobError
from overwinter.model.names import DEFAULT_RESOURCE_GROUP
from overwinter.model.policy import Policy
from overwinter.model.protection import ProtectedItem, Vault
from overwinter.model.vm import VirtualMachine

_VM_TYPE = "Microsoft.Compute/virtualMachines"
#: Before deleted data goes for good, this is the time in which that is said to be near (reference articles).
_UPCOMING = timedelta(days=2)

_CONTAINER_TYPE = "Microsoft.RecoveryServices/vaults/backupFabrics/protectionContainers"


def item_shape(
    ids: Ids,
    vault: Vault,
    item: ProtectedItem,
    policy: Policy | None,
    problems: Sequence[tuple[JobError, Diagnosis | None]],
    now: datetime,
    audience: Audience,
) -> dict[str, object]:
    """A protected item; ``problems`` are what is wrong and why, ``policy`` is null when it is gone."""
    names = Names(vm=item.vm_name, vault=vault.name)
    state = health([problem for problem, _ in problems])
    until = item.deleted_until
    container = container_name(item.resource_group, item.vm_name)
    machine = ids.machine(item.vm_name, item.resource_group)
    return {
        "id": ids.item(vault, item),
        "name": f"VM;{container}",
        "type": f"{_CONTAINER_TYPE}/protectedItems",
        "properties": {
            "protectedItemType": _VM_TYPE,
            "backupManagementType": "AzureIaasVM",
            "workloadType": "VM",
            "friendlyName": item.vm_name,
            "containerName": container,
            "sourceResourceId": machine,
            "virtualMachineId": machine,
            "policyId": ids.policy(vault, policy.name) if policy else "",
            "policyName": policy.name if policy else "",
            "policyType": policy.type.value if policy else None,
            "protectionState": item.state.value,
            "protectionStatus": "Healthy" if state is Health.PASSED else "Unhealthy",
            "healthStatus": state.value,
            "healthDetails": [health_detail(*problem, audience, names) for problem in problems],
            "kpisHealths": {},
            "lastBackupStatus": item.last_backup_status,
            "lastBackupTime": stamp(item.last_backup) if item.last_backup else NEVER_BACKED_UP,
            "lastRecoveryPoint": stamp_or_none(item.last_recovery_point),
            # ARM wants a long decimal number here: the first 60 bits of the item's own id.
            "protectedItemDataId": str(item.id.int >> 68),
            "isArchiveEnabled": False,
            "isScheduledForDeferredDelete": until is not None,
            "deferredDeleteTimeInUTC": stamp_or_none(until),
            "deferredDeleteTimeRemaining": None if until is None else duration(until - now),
            "isDeferredDeleteScheduleUpcoming": until is not None and until - now <= _UPCOMING,
            "softDeleteRetentionPeriodInDays": vault.rules.soft_delete_days,
            "vaultId": ids.vault(vault),
            "extendedProperties": {
                "diskExclusionProperties": {
                    "diskLunList": list(item.disks.luns),
                    "isInclusionList": item.disks.included,
                },
                "linuxVmApplicationName": "",
            },
            "overwinter": {"vmUuid": str(item.vm_uuid), "created": stamp(item.created)},
        },
    }


def container_shape(ids: Ids, vault: Vault, item: ProtectedItem) -> dict[str, object]:
    """The container of a protected item: one per VM."""
    return {
        "id": ids.container(vault, item.resource_group, item.vm_name),
        "name": f"IaasVMContainer;{container_name(item.resource_group, item.vm_name)}",
        "type": _CONTAINER_TYPE,
        "properties": {
            "containerType": _VM_TYPE,
            "protectableObjectType": _VM_TYPE,
            "backupManagementType": "AzureIaasVM",
            "friendlyName": item.vm_name,
            "registrationStatus": "Registered",
            "healthStatus": "Healthy",
            "virtualMachineId": ids.machine(item.vm_name, item.resource_group),
            "virtualMachineVersion": "Compute",
            "resourceGroup": item.resource_group,
        },
    }


def protectable_shape(ids: Ids, vault: Vault, vm: VirtualMachine) -> dict[str, object]:
    """A VM that is protected in no vault."""
    return {
        "id": ids.protectable(vault, vm.name),
        "name": container_name(DEFAULT_RESOURCE_GROUP, vm.name),
        "type": f"{_CONTAINER_TYPE}/protectableItems",
        "properties": {
            "protectableItemType": _VM_TYPE,
            "backupManagementType": "AzureIaasVM",
            "workloadType": "VM",
            "friendlyName": vm.name,
            "protectionState": "NotProtected",
            "virtualMachineId": ids.machine(vm.name),
            "virtualMachineVersion": "Compute",
            "resourceGroup": DEFAULT_RESOURCE_GROUP,
        },
    }


def backup_status_shape(
    ids: Ids, found: tuple[Vault, ProtectedItem, Policy | None] | None
) -> dict[str, object]:
    """Whether a VM is protected, and where."""
    if found is None:
        return {
            "protectionStatus": "NotProtected",
            "vaultId": None,
            "fabricName": None,
            "containerName": None,
            "protectedItemName": None,
            "policyName": None,
            "registrationStatus": None,
            "errorCode": None,
            "errorMessage": None,
        }
    vault, item, policy = found
    container = container_name(item.resource_group, item.vm_name)
    return {
        "protectionStatus": "Protected",
        "vaultId": ids.vault(vault),
        "fabricName": "Azure",
        "containerName": f"IaasVMContainer;{container}",
        "protectedItemName": f"VM;{container}",
        "policyName": policy.name if policy else None,
        "registrationStatus": "Registered",
        "errorCode": None,
        "errorMessage": None,
    }
