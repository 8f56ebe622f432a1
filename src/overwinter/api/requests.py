"""What clients ask for: the bodies of the requests on vaults, items and recovery points."""

from enum import Enum
from pathlib import Path

from pydantic import Field, field_validator

from overwinter.api.documents import ArmModel
from overwinter.api.requests_rules import SecuritySettings
from overwinter.api.words import Word
from overwinter.model.disk_selection import DiskSelection
from overwinter.model.errors import NotImplementedYet, RequestError


class _VaultExtension(ArmModel):
    url: str | None = None
    key_reference: str | None = None
    attach: bool = False


class _VaultProperties(ArmModel):
    overwinter: _VaultExtension = _VaultExtension()
    security_settings: SecuritySettings = SecuritySettings()


class VaultRequest(ArmModel):
    """Body of PUT and PATCH vault. Settings that this version does not have are accepted and not kept.

    Our extension ``overwinter``: where the vault lies (``url``), where the service finds its key
    (``keyReference``), and whether it exists already (``attach``).
    """

    location: str | None = None
    properties: _VaultProperties = _VaultProperties()

    def check_attachable(self) -> tuple[str, str]:
        """Place and key of a vault to be attached. Raises RequestError when one is missing."""
        asked = self.properties.overwinter
        if asked.url is None or asked.key_reference is None:
            raise RequestError("Attaching needs properties.overwinter.url and .keyReference.")
        return asked.url, asked.key_reference


class KeyRequest(ArmModel):
    """Body of POST useKey: where the service finds the secret from now on."""

    key_reference: str


class VerifyRequest(ArmModel):
    """Body of POST verify: how many percent of the data are read, and of which point only."""

    read_percent: float = 0
    point: str | None = None


class RepairRequest(ArmModel):
    """Body of POST repair: whether recovery points that cannot be restored are removed."""

    remove_lost: bool = False


class CopyRequest(ArmModel):
    """Body of POST copy: the name of the vault to copy to, and of which points; all without."""

    target: str
    points: list[str] | None = None


class _DiskExclusion(ArmModel):
    disk_lun_list: tuple[int, ...] = ()
    is_inclusion_list: bool = False


class _ItemExtendedProperties(ArmModel):
    disk_exclusion_properties: _DiskExclusion | None = None


class _ItemProperties(ArmModel):
    policy_id: str | None = None
    source_resource_id: str | None = None
    protection_state: str | None = None
    is_rehydrate: bool | None = None
    extended_properties: _ItemExtendedProperties | None = None


class ItemChange(Enum):
    """What a PUT of a protected item asks for."""

    PROTECT = "protect"
    STOP = "stop"
    SUSPEND = "suspend"
    UNDELETE = "undelete"


_CHANGES = {
    "": ItemChange.PROTECT,
    "protected": ItemChange.PROTECT,
    "irpending": ItemChange.PROTECT,
    "protectionstopped": ItemChange.STOP,
    "backupssuspended": ItemChange.SUSPEND,
}


class ItemRequest(ArmModel):
    """Body of PUT protected item: protect, change policy or disks, stop, suspend, have back."""

    properties: _ItemProperties

    @property
    def change(self) -> ItemChange:
        """What is asked. Raises RequestError for a state that nobody can ask for."""
        if self.properties.is_rehydrate:
            return ItemChange.UNDELETE
        state = self.properties.protection_state or ""
        change = _CHANGES.get(state.casefold())
        if change is None:
            raise RequestError(f"The protection state {state!r} cannot be asked for.")
        return change

    @property
    def disks(self) -> DiskSelection | None:
        """The disks to back up; null when the request does not speak of them."""
        extended = self.properties.extended_properties
        asked = None if extended is None else extended.disk_exclusion_properties
        if asked is None:
            return None
        return DiskSelection(tuple(sorted(set(asked.disk_lun_list))), included=asked.is_inclusion_list)


class _BackupProperties(ArmModel):
    expires: str | None = Field(default=None, alias="recoveryPointExpiryTimeInUTC")


class BackupRequest(ArmModel):
    """Body of POST backup."""

    properties: _BackupProperties = _BackupProperties()


class RecoveryType(Word):
    """How to restore."""

    ORIGINAL_LOCATION = "OriginalLocation"
    ALTERNATE_LOCATION = "AlternateLocation"
    RESTORE_DISKS = "RestoreDisks"


class _RestoreExtension(ArmModel):
    target_directory: Path | None = None
    start: bool = False

    @field_validator("target_directory")
    @classmethod
    def _absolute(cls, directory: Path | None) -> Path | None:
        if directory is not None and (not directory.is_absolute() or ".." in directory.parts):
            raise ValueError("must be an absolute path without '..'")
        return directory


class _RestoreProperties(ArmModel):
    recovery_type: RecoveryType
    target_virtual_machine_id: str | None = None
    restore_disk_lun_list: list[int] | None = None
    overwinter: _RestoreExtension = _RestoreExtension()


class RestoreRequest(ArmModel):
    """Body of POST restore. Our extension ``overwinter``: where files are written (``targetDirectory``),
    whether the new VM is started (``start``).
    """

    properties: _RestoreProperties

    def check_supported(self) -> None:
        """Raise NotImplementedYet for what this version cannot restore, RequestError for what is missing."""
        asked = self.properties
        if asked.recovery_type is RecoveryType.ORIGINAL_LOCATION:
            raise NotImplementedYet("Restoring over the existing VM is not possible in this version.")
        if asked.restore_disk_lun_list is not None:
            raise NotImplementedYet("This version restores all disks: leave out restoreDiskLunList.")
        if asked.recovery_type is RecoveryType.RESTORE_DISKS and asked.overwinter.target_directory is None:
            raise RequestError("RestoreDisks needs properties.overwinter.targetDirectory, an absolute path.")
        if asked.recovery_type is RecoveryType.ALTERNATE_LOCATION and asked.target_virtual_machine_id is None:
            raise RequestError(
                "AlternateLocation needs properties.targetVirtualMachineId, …/virtualMachines/NAME."
            )


class BackupStatusRequest(ArmModel):
    """Body of POST backupStatus: is this VM protected, and where?"""

    resource_id: str
