"""Restore point collections, restore points, resource groups and locks as ARM writes them."""

from collections.abc import Sequence

from overwinter.api.ids import Ids
from overwinter.api.shapes_machines import disk_name
from overwinter.api.times import stamp
from overwinter.jobs.point_admin import CollectionContent
from overwinter.model.lock import Lock
from overwinter.model.names import LOCATION
from overwinter.model.point import Consistency, DiskCapture, RestorePoint, RestorePointCollection

_GIB = 1 << 30

#: The compute API has its own words for consistency.
_MODES = {
    Consistency.APPLICATION: "ApplicationConsistent",
    Consistency.FILE_SYSTEM: "FileSystemConsistent",
    Consistency.CRASH: "CrashConsistent",
}


def group_shape(ids: Ids, name: str) -> dict[str, object]:
    """A resource group."""
    return {
        "id": ids.group(name),
        "name": name,
        "type": "Microsoft.Resources/resourceGroups",
        "location": LOCATION,
        "tags": {},
        "properties": {"provisioningState": "Succeeded"},
    }


def lock_shape(ids: Ids, lock: Lock) -> dict[str, object]:
    """A lock."""
    return {
        "id": f"{ids.scope(lock.scope)}/providers/Microsoft.Authorization/locks/{lock.name}",
        "name": lock.name,
        "type": "Microsoft.Authorization/locks",
        "properties": {"level": lock.level.value, "notes": lock.notes, "owners": None},
        "overwinter": {"created": stamp(lock.created), "scope": str(lock.scope)},
    }


def collection_shape(ids: Ids, content: CollectionContent, *, with_points: bool = False) -> dict[str, object]:
    """A collection; ``with_points`` adds its restore points. What lies under ``overwinter`` is ours."""
    collection = content.collection
    properties: dict[str, object] = {
        "source": {"id": ids.machine(collection.vm_name), "location": LOCATION},
        "provisioningState": "Succeeded",
        "restorePointCollectionId": str(collection.id),
        "overwinter": {
            "vmName": collection.vm_name,
            "vmUuid": str(collection.vm_uuid),
            "restorePoints": len(content.points),
            "snapshotOnly": len(content.snapshot_only),
            "oldest": stamp(content.points[0].created) if content.points else None,
            "newest": stamp(content.points[-1].created) if content.points else None,
            "locks": [
                {"name": lock.name, "level": lock.level.value, "scope": str(lock.scope)}
                for lock in content.locks
            ],
        },
    }
    if with_points:
        properties["restorePoints"] = [restore_point_shape(ids, content, point) for point in content.points]
    return {
        "id": ids.collection(collection),
        "name": collection.name,
        "type": "Microsoft.Compute/restorePointCollections",
        "location": LOCATION,
        "tags": {},
        "properties": properties,
    }


def restore_point_shape(
    ids: Ids, content: CollectionContent, point: RestorePoint, *, with_view: bool = False
) -> dict[str, object]:
    """A restore point; ``with_view`` adds the instance view."""
    collection = content.collection
    point_id = f"{ids.collection(collection)}/restorePoints/{point.name}"
    disks = [_disk(ids, collection, point_id, disk) for disk in point.disks]
    system = next((shape for shape, disk in zip(disks, point.disks, strict=True) if disk.lun < 0), None)
    data = [shape for shape, disk in zip(disks, point.disks, strict=True) if disk.lun >= 0]
    properties: dict[str, object] = {
        "provisioningState": "Succeeded",
        "consistencyMode": _MODES[point.consistency],
        "timeCreated": stamp(point.created),
        "excludeDisks": [],
        "sourceMetadata": {
            "vmId": str(collection.vm_uuid),
            "location": LOCATION,
            "storageProfile": {"osDisk": system, "dataDisks": data},
        },
        "overwinter": {
            "freezeMs": point.freeze_ms,
            "snapshotOnly": point.id in content.snapshot_only,
            "layers": max((len(disk.chain) for disk in point.disks), default=0),
        },
    }
    if with_view:
        properties["instanceView"] = {"statuses": [], "diskRestorePoints": _views(disks)}
    return {
        "id": point_id,
        "name": point.name,
        "type": "Microsoft.Compute/restorePointCollections/restorePoints",
        "properties": properties,
    }


def _disk(
    ids: Ids, collection: RestorePointCollection, point_id: str, disk: DiskCapture
) -> dict[str, object]:
    name = disk_name(collection.vm_name, disk.lun)
    shape: dict[str, object] = {
        "name": name,
        "diskSizeGB": -(-disk.size // _GIB),
        "managedDisk": {"id": ids.disk(name)},
        "diskRestorePoint": {"id": f"{point_id}/diskRestorePoints/{name}"},
    }
    # The host does not know which system a disk holds; ARM has no word for that.
    return {"osType": "Linux", **shape} if disk.lun < 0 else {"lun": disk.lun, **shape}


def _views(disks: Sequence[dict[str, object]]) -> list[object]:
    return [disk["diskRestorePoint"] for disk in disks]
