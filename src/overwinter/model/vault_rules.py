"""What a vault forbids: soft delete (deleted data stays for some days) and immutability. Pure rules.

The values and their meaning are those of Azure Recovery Services vaults; so are the bounds of the days.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from overwinter.model.errors import RequestError, VaultImmutable, VaultSettingIrreversible

#: Deleted data stays at least and at most so many days.
LEAST_DAYS = 14
MOST_DAYS = 180


class SoftDelete(StrEnum):
    """Whether deleted data stays for some days; ``ALWAYS_ON`` can never be turned off."""

    ENABLED = "Enabled"
    DISABLED = "Disabled"
    ALWAYS_ON = "AlwaysON"


class Immutability(StrEnum):
    """Whether recovery points stay until they expire; ``LOCKED`` can never be turned off."""

    DISABLED = "Disabled"
    UNLOCKED = "Unlocked"
    LOCKED = "Locked"


@dataclass(frozen=True)
class VaultRules:
    """The rules of one vault. ``soft_delete_days`` counts from the moment of a deletion."""

    soft_delete: SoftDelete = SoftDelete.ENABLED
    soft_delete_days: int = LEAST_DAYS
    immutability: Immutability = Immutability.DISABLED

    @property
    def is_immutable(self) -> bool:
        """Whether nothing may be deleted before it expires."""
        return self.immutability is not Immutability.DISABLED

    def kept_until(self, deleted: datetime) -> datetime:
        """Until when data stays that is deleted at a time; that time itself when it goes at once."""
        days = 0 if self.soft_delete is SoftDelete.DISABLED else self.soft_delete_days
        return deleted + timedelta(days=days)

    def refuse_deletion(self, what: str, expires: datetime | None, now: datetime) -> None:
        """Raise VaultImmutable when data that expires at a time (null: never) may not be deleted now."""
        if self.is_immutable and (expires is None or expires > now):
            when = "has no date of expiry" if expires is None else f"expires {expires:%Y-%m-%d %H:%M} UTC"
            raise VaultImmutable(
                f"{what} {when}, and the vault is immutable: nothing in it is deleted before it expires."
            )

    def check_change(self, new: "VaultRules") -> None:
        """Raise VaultSettingIrreversible for what cannot be taken back, RequestError for a wrong value."""
        if not LEAST_DAYS <= new.soft_delete_days <= MOST_DAYS:
            raise RequestError(
                f"Deleted data cannot stay for {new.soft_delete_days} days: "
                f"{LEAST_DAYS} to {MOST_DAYS} can be chosen."
            )
        if self.soft_delete is SoftDelete.ALWAYS_ON and new.soft_delete is not SoftDelete.ALWAYS_ON:
            raise VaultSettingIrreversible("Soft delete of this vault is always on and stays so.")
        if self.immutability is Immutability.LOCKED and new.immutability is not Immutability.LOCKED:
            raise VaultSettingIrreversible("Immutability of this vault is locked and stays so.")


#: What a vault has unless somebody chooses.
NEW_RULES = VaultRules()
