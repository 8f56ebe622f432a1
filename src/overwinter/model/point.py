"""Restore points and recovery points: an instant of a VM, where it is kept, how consistent it is."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from overwinter.model.freeze import FreezeRecord
from overwinter.model.long_term import RuleName
from overwinter.model.names import SERVICE_PREFIX
from overwinter.model.vm import DiskFormat, ImageLayer, original_index


class Consistency(StrEnum):
    """What was really achieved when the point was taken, never what was hoped (values as in the ARM API)."""

    APPLICATION = "AppConsistent"
    FILE_SYSTEM = "FileSystemConsistent"
    CRASH = "CrashConsistent"

    def satisfies(self, required: "Consistency") -> bool:
        """Whether this level is at least ``required``."""
        order = [Consistency.CRASH, Consistency.FILE_SYSTEM, Consistency.APPLICATION]
        return order.index(self) >= order.index(required)


class Tier(StrEnum):
    """Where a recovery point can be restored from."""

    SNAPSHOT = "snapshot"
    SNAPSHOT_AND_VAULT = "snapshot and vault"
    VAULT = "vault"


@dataclass(frozen=True)
class DiskCapture:
    """One disk within a restore point: its frozen chain, top first, and the overlay the VM went on with.

    ``formats`` gives the QEMU format of each path of ``chain``. ``size`` is the virtual size in bytes.
    """

    target: str
    lun: int
    size: int
    chain: tuple[str, ...]
    formats: tuple[str, ...]
    overlay: str

    @property
    def original(self) -> ImageLayer:
        """The VM's own image, see ``original_index``."""
        index = original_index(self.chain)
        return ImageLayer(self.chain[index], self.formats[index])


@dataclass(frozen=True)
class PointDisk:
    """One disk of a recovery point as it will be restored; ``cluster_size`` is that of a qcow2 image."""

    target: str
    lun: int
    size: int
    format: DiskFormat
    cluster_size: int | None = None


@dataclass(frozen=True)
class RestorePointCollection:
    """Restore points of one VM: ``AzureBackupRG_<VM>_<n>`` in a resource group of the service.

    It is independent of the VM: it stays when the VM is renamed or removed.
    """

    id: UUID
    name: str
    resource_group: str
    vm_uuid: UUID

    @property
    def stem(self) -> str:
        """The name without its number."""
        return self.name[: self.name.rindex("_") + 1]

    @property
    def number(self) -> int:
        """The number at the end of the name."""
        return int(self.name[self.name.rindex("_") + 1 :])

    @property
    def vm_name(self) -> str:
        """The VM's name when the collection was made."""
        return self.stem.removeprefix(SERVICE_PREFIX)[:-1]


@dataclass(frozen=True)
class RestorePoint:
    """The snapshot tier of one instant: frozen chains on the VM's host."""

    id: UUID
    collection_id: UUID
    name: str
    created: datetime
    consistency: Consistency
    freeze_ms: int | None
    disks: tuple[DiskCapture, ...]


@dataclass(frozen=True)
class RecoveryPoint:
    """What a user restores from.

    ``id`` is the decimal name the API shows. ``manifest`` names the vault's manifest once the data is there;
    ``restore_point`` the snapshot-tier point as long as it exists. ``bytes_read`` and ``bytes_stored`` tell
    what the transfer cost; ``incremental`` is false when at least one disk was read in full. ``scheduled`` is
    the moment for which the backup was due, null when somebody asked for it; ``rule`` is what of the policy
    decides ``expires``, null where a request did. Without ``expires`` the point stays. A point
    that was deleted alone can be had back until ``deleted_until``. ``freeze`` tells what stood still, null
    when nothing did or another host took the point.
    """

    id: str
    item_id: UUID
    created: datetime
    consistency: Consistency
    expires: datetime | None
    restore_point: UUID | None
    manifest: str | None
    bytes_read: int = 0
    bytes_stored: int = 0
    incremental: bool = False
    freeze_ms: int | None = None
    warnings: tuple[str, ...] = field(default=())
    scheduled: datetime | None = None
    rule: RuleName | None = None
    deleted_until: datetime | None = None
    freeze: FreezeRecord | None = None

    @property
    def tier(self) -> Tier:
        """Which tiers hold the point."""
        if self.manifest is None:
            return Tier.SNAPSHOT
        return Tier.VAULT if self.restore_point is None else Tier.SNAPSHOT_AND_VAULT
