"""Recovery points as ARM writes them."""

from collections.abc import Sequence

from overwinter.api.ids import Ids
from overwinter.api.shapes_freeze import freeze_shape
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
    left_out: Sequence[tuple[str, int]] = (),
) -> dict[str, object]:
    """A recovery point; ``disks`` adds the disk configuration, which lists leave out.

    ``left_out`` are target and LUN of the disks that the VM had besides.
    """
    deleted = item.is_deleted or point.deleted_until is not None
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
            "isSoftDeleted": deleted,
        },
        "keyAndSecret": None,
        "overwinter": {
            "tier": point.tier.value,
            "bytesRead": point.bytes_read,
            "bytesStored": point.bytes_stored,
            "incremental": point.incremental,
            "freezeMs": point.freeze_ms,
            "freeze": None if point.freeze is None else freeze_shape(point.freeze),
            "warnings": list(point.warnings),
            "deletedUntil": stamp_or_none(point.deleted_until or item.deleted_until),
        },
    }
    if disks is not None:
        properties["recoveryPointDiskConfiguration"] = {
            "numberOfDisksIncludedInBackup": len(disks),
            "numberOfDisksAttachedToVm": len(disks) + len(left_out),
            "includedDiskList": [
                {
                    "lun": disk.lun,
                    "name": disk_name(item.vm_name, disk.lun),
                    "overwinter": {"target": disk.target, "size": disk.size, "format": disk.format},
                }
                for disk in disks
            ],
            "excludedDiskList": [
                {"lun": lun, "name": disk_name(item.vm_name, lun), "overwinter": {"target": target}}
                for target, lun in left_out
            ],
        }
    return {
        "id": ids.point(vault, item, point.id),
        "name": point.id,
        "type": _TYPE,
        "properties": properties,
    }
