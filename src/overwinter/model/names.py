"""Names the system gives: collections, groups, restore points, overlays, recovery points. Pure functions."""

from datetime import datetime
from uuid import UUID

DEFAULT_RESOURCE_GROUP = "default"
LOCATION = "local"

#: Marks an overlay file as ours: ``<original file>.overwinter-<restore point name>``.
OVERLAY_MARK = ".overwinter-"


#: How the reference articles begin the names of the service's groups and of collections.
SERVICE_PREFIX = "AzureBackupRG_"


def collection_name(vm_name: str, number: int) -> str:
    """Name of a VM's restore point collection (reference articles)."""
    return f"{SERVICE_PREFIX}{vm_name}_{number}"


def restore_point_name(created: datetime) -> str:
    """``AzureBackup_<yyyyMMdd>_<HHmmss>`` in UTC."""
    return f"AzureBackup_{created:%Y%m%d}_{created:%H%M%S}"


def overlay_suffix(point_id: UUID) -> str:
    """What is put behind an original file's name to make an overlay's name; unique per restore point."""
    return f"{OVERLAY_MARK}{point_id.hex[:12]}"


def is_overlay(path: str) -> bool:
    """Whether a file name is one we give to overlays."""
    return OVERLAY_MARK in path.rsplit("/", 1)[-1]


def recovery_point_id(created: datetime) -> str:
    """Decimal name of a recovery point: microseconds since 1970, so that names sort by time."""
    return str(int(created.timestamp() * 1_000_000))
