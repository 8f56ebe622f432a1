"""What clients ask for: the bodies of the requests on vaults, items and recovery points."""

from enum import StrEnum
from pathlib import Path
from typing import Self

from pydantic import Field, field_validator

from overwinter.api.documents import ArmModel
from overwinter.model.errors import NotImplementedYet, RequestError


class Word(StrEnum):
    """A fixed word that clients spell in any letter case."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        return next((word for word in cls if word.casefold() == str(value).casefold()), None)


class _VaultExtension(ArmModel):
    url: str | None = None
    key_reference: str | None = None
    attach: bool = False


class _VaultProperties(ArmModel):
    overwinter: _VaultExtension = _VaultExtension()


class VaultRequest(ArmModel):
    """Body of PUT vault. Settings that this version does not have are accepted and not kept.

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
    disk_lun_list: list[int] | None = None
    is_inclusion_list: bool | None = None


class _ItemExtendedProperties(ArmModel):
    disk_exclusion_properties: _DiskExclusion | None = None


class _ItemProperties(ArmModel):
    policy_id: str | None = None
    source_resource_id: str | None = None
    protection_state: str | None = None
    is_rehydrate: bool | None = None
    extended_properties: _ItemExtendedProperties | None = None


class ItemRequest(ArmModel):
    """Body of PUT protected item: protect, change the policy, or stop protection and keep the data."""

    properties: _ItemProperties

    @property
    def stops_protection(self) -> bool:
        """Whether protection shall stop; raises NotImplementedYet for states that this version lacks."""
        state = (self.properties.protection_state or "").casefold()
        if self.properties.is_rehydrate:
            raise NotImplementedYet("Taking back a deletion is not possible in this version.")
        if state not in ("", "protected", "irpending", "protectionstopped"):
            raise NotImplementedYet(
                f"The protection state {self.properties.protection_state!r} is not possible in this version."
            )
        return state == "protectionstopped"

    def check_supported(self) -> None:
        """Raise NotImplementedYet when disks shall be left out: this version backs up all of them."""
        extended = self.properties.extended_properties
        if extended is not None and extended.disk_exclusion_properties is not None:
            raise NotImplementedYet(
                "This version backs up all disks of a VM: leave out diskExclusionProperties."
            )


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
