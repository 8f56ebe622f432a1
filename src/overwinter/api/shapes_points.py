"""Recovery points as ARM writes them."""

from collections.abc import Sequence

from overwinter.api.ids import Ids
from overwinter.api.shapes_machines import disk_name
from overwinter.api.times import stamp, stamp_or_none
from overwinter.model.point import PointDisk, RecoveryPoint, Tier
from overwinter.model.protection import ProtectedItem, Vault

_TYPE = "Microsoft.RecoveryServices/vaults/backupFabrics/protectionContainers/protectedItems/recoveryPoints"

_TIERS = {
    Tier.SNAPSHOT: ["InstantRP"],
    Tier.SNAPSHOT_AND_VAULT: ["InstantRP", "HardenedRP"],
    Tier.VAULT: ["HardenedRP"],
}


def point_shape(
    ids: Ids,
    vault: Vault,
    item: ProtectedItem,
    point: RecoveryPoint,
    disks: Sequence[PointDisk] | None = None,
) -> dict[str, object]:
    """A recovery point; ``disks`` adds the disk configuration, which lists leave out."""
    properties: dict[str, object] = {
        "objectType": "IaasVMRecoveryPoint",
        "recoveryPointType": point.consistency.value,
        "recoveryPointTime": stamp(point.created),
        "recoveryPointAdditionalInfo": " ".join(point.warnings),
        "sourceVMStorageType": "NormalStorage",
        "isSourceVMEncrypted": False,
        "isInstantIlrSessionActive": False,
        "isManagedVirtualMachine": True,
        "originalStorageAccountOption": False,
        "osType": "Linux",
        "zones": [],
        "securityType": None,
        "isPrivateAccessEnabledOnAnyDisk": False,
        "recoveryPointTierDetails": [{"type": tier, "status": "Valid"} for tier in _TIERS[point.tier]],
        "recoveryPointMoveReadinessInfo": {},
        "recoveryPointProperties": {
            "expiryTime": stamp_or_none(point.expires),
            "ruleName": point.rule,
            "isSoftDeleted": False,
        },
        "keyAndSecret": None,
        "overwinter": {
            "tier": point.tier.value,
            "bytesRead": point.bytes_read,
            "bytesStored": point.bytes_stored,
            "incremental": point.incremental,
            "freezeMs": point.freeze_ms,
            "warnings": list(point.warnings),
        },
    }
    if disks is not None:
        properties["recoveryPointDiskConfiguration"] = {
            "numberOfDisksIncludedInBackup": len(disks),
            "numberOfDisksAttachedToVm": len(disks),
            "includedDiskList": [
                {
                    "lun": disk.lun,
                    "name": disk_name(item.vm_name, disk.lun),
                    "overwinter": {"target": disk.target, "size": disk.size, "format": disk.format},
                }
                for disk in disks
            ],
            "excludedDiskList": [],
        }
    return {
        "id": ids.point(vault, item, point.id),
        "name": point.id,
        "type": _TYPE,
        "properties": properties,
    }
