"""What clients ask of a vault's rules: soft delete and immutability, in the two places where ARM has them."""

from overwinter.api.documents import ArmModel
from overwinter.api.words import Word
from overwinter.model.vault_rules import Immutability, SoftDelete


class SoftDeleteWord(Word):
    """Soft delete; clients write ``AlwaysOn`` as well."""

    ENABLED = "Enabled"
    DISABLED = "Disabled"
    ALWAYS_ON = "AlwaysON"


class ImmutabilityWord(Word):
    """Immutability."""

    DISABLED = "Disabled"
    UNLOCKED = "Unlocked"
    LOCKED = "Locked"


class _SoftDeleteSettings(ArmModel):
    soft_delete_state: SoftDeleteWord | None = None
    soft_delete_retention_period_in_days: int | None = None


class _ImmutabilitySettings(ArmModel):
    state: ImmutabilityWord | None = None


class SecuritySettings(ArmModel):
    """``properties.securitySettings`` of a vault; what is left out stays as it is."""

    soft_delete_settings: _SoftDeleteSettings = _SoftDeleteSettings()
    immutability_settings: _ImmutabilitySettings = _ImmutabilitySettings()

    @property
    def soft_delete(self) -> SoftDelete | None:
        """The wanted state of soft delete."""
        word = self.soft_delete_settings.soft_delete_state
        return None if word is None else SoftDelete(word.value)

    @property
    def soft_delete_days(self) -> int | None:
        """The wanted days of soft delete."""
        return self.soft_delete_settings.soft_delete_retention_period_in_days

    @property
    def immutability(self) -> Immutability | None:
        """The wanted immutability."""
        word = self.immutability_settings.state
        return None if word is None else Immutability(word.value)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is asked for."""
        return (self.soft_delete, self.soft_delete_days, self.immutability) == (None, None, None)


class _VaultConfigProperties(ArmModel):
    soft_delete_feature_state: SoftDeleteWord | None = None
    soft_delete_retention_period_in_days: int | None = None


class VaultConfigRequest(ArmModel):
    """Body of PATCH and PUT backupconfig/vaultconfig."""

    properties: _VaultConfigProperties = _VaultConfigProperties()

    @property
    def soft_delete(self) -> SoftDelete | None:
        """The wanted state of soft delete."""
        word = self.properties.soft_delete_feature_state
        return None if word is None else SoftDelete(word.value)
