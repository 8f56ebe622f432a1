"""Vaults as ARM writes them, and what of a vault ARM does not know."""

from collections.abc import Mapping
from datetime import datetime

from overwinter.api.ids import Ids
from overwinter.api.times import stamp, stamp_or_none
from overwinter.model.protection import Vault
from overwinter.model.vault_rules import SoftDelete
from overwinter.vault import VaultStats


def vault_shape(ids: Ids, vault: Vault) -> dict[str, object]:
    """A vault. What lies under ``overwinter`` is ours and not part of ARM."""
    return {
        "id": ids.vault(vault),
        "name": vault.name,
        "type": "Microsoft.RecoveryServices/vaults",
        "location": vault.location,
        "tags": {},
        "sku": {"name": "Standard", "tier": "Standard"},
        "identity": None,
        "properties": {
            "provisioningState": "Succeeded",
            "privateEndpointStateForBackup": "None",
            "privateEndpointStateForSiteRecovery": "None",
            "publicNetworkAccess": "Enabled",
            "backupStorageVersion": vault.stack.value,
            "securitySettings": {
                "softDeleteSettings": {
                    "softDeleteState": vault.rules.soft_delete.value,
                    "softDeleteRetentionPeriodInDays": vault.rules.soft_delete_days,
                    "enhancedSecurityState": vault.rules.soft_delete.value,
                },
                "immutabilitySettings": {
                    "state": vault.rules.immutability.value,
                    "configuration": {"type": "AsPerPolicy"} if vault.rules.is_immutable else None,
                },
                "multiUserAuthorization": "Disabled",
            },
            "redundancySettings": {
                "standardTierStorageRedundancy": "LocallyRedundant",
                "crossRegionRestore": "Disabled",
            },
            "overwinter": {
                "url": vault.url,
                "keyKind": vault.key_kind.value,
                "keyReference": vault.key_reference,
                "created": stamp(vault.created),
            },
        },
    }


def vault_config_shape(ids: Ids, vault: Vault) -> dict[str, object]:
    """Soft delete of a vault, where the backup API has it."""
    final = vault.rules.soft_delete is SoftDelete.ALWAYS_ON
    return {
        "id": f"{ids.vault(vault)}/backupconfig/vaultconfig",
        "name": "vaultconfig",
        "type": "Microsoft.RecoveryServices/vaults/backupconfig",
        "properties": {
            "storageModelType": "LocallyRedundant",
            "storageType": "LocallyRedundant",
            "storageTypeState": "Unlocked",
            "enhancedSecurityState": "Enabled" if final else vault.rules.soft_delete.value,
            "softDeleteFeatureState": vault.rules.soft_delete.value,
            "softDeleteRetentionPeriodInDays": vault.rules.soft_delete_days,
            "resourceGuardOperationRequests": [],
            "isSoftDeleteFeatureStateEditable": not final,
        },
    }


def stats_shape(
    stats: VaultStats, ids: Mapping[str, str], now: datetime, free_bytes: int | None
) -> dict[str, object]:
    """What a vault holds and costs, all in bytes; wholly ours. ``growth`` is null while too little is known.

    ``ids`` are those of recovery points by their names in the vault.
    """
    growth = stats.growth(now=now, free_bytes=free_bytes)
    return {
        "logicalBytes": stats.logical_bytes,
        "contentBytes": stats.content_bytes,
        "uniqueBytes": stats.unique_bytes,
        "storedBytes": stats.stored_bytes,
        "wasteBytes": stats.waste_bytes,
        "freeBytes": free_bytes,
        "objects": [
            {"kind": kind.kind, "objects": kind.objects, "bytes": kind.bytes} for kind in stats.objects
        ],
        "vms": [
            {
                "vm": vm.vm_name,
                "vmUuid": str(vm.vm_uuid),
                "points": vm.points,
                "logicalBytes": vm.logical_bytes,
                "contentBytes": vm.content_bytes,
                "ownBytes": vm.own_bytes,
            }
            for vm in stats.vms
        ],
        "points": [
            {
                "recoveryPoint": ids.get(point.point_id),
                "name": point.point_id,
                "vmUuid": str(point.vm_uuid),
                "created": stamp(point.created),
                "deleted": point.deleted,
                "logicalBytes": point.logical_bytes,
                "contentBytes": point.content_bytes,
                "ownBytes": point.own_bytes,
                "newBytes": point.new_bytes,
            }
            for point in stats.points
        ],
        "growth": None
        if growth is None
        else {
            "bytesPerDay": growth.bytes_per_day,
            "points": growth.points,
            "full": stamp_or_none(growth.full),
        },
    }
