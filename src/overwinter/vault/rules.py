"""What a vault forbids, kept in the vault itself: soft delete and immutability.

Whoever holds the key can write rules, but not take back those that are final, and whoever can only write the
catalog changes none. Each change is a new object of the next number; the highest number counts. Writing a
number succeeds for one of many, and everybody checks the change against the number before, so no final rule
is ever followed by one that lacks it.
"""

from overwinter.model.errors import AlreadyExists, VaultDataCorrupt
from overwinter.model.vault_rules import LEAST_DAYS, MOST_DAYS, Immutability, SoftDelete, VaultRules
from overwinter.vault import control
from overwinter.vault.blobs import BlobStore
from overwinter.vault.seal import ObjectKind

RULES = "rules/"


def current(blobs: BlobStore) -> VaultRules | None:
    """The vault's rules; null when it never got any. Raises ``VaultDataCorrupt``."""
    return _read(blobs)[1]


def change(blobs: BlobStore, new: VaultRules) -> None:
    """Give the vault new rules.

    Raises ``VaultSettingIrreversible``, and ``RequestError`` for a wrong value.
    """
    while True:
        number, old = _read(blobs)
        (old or new).check_change(new)
        if old == new:
            return
        value = {
            "soft_delete": new.soft_delete.value,
            "soft_delete_days": new.soft_delete_days,
            "immutability": new.immutability.value,
        }
        try:
            control.put(blobs, ObjectKind.MARK, f"{RULES}{number + 1:08d}", value)
        except AlreadyExists:
            continue  # somebody else was first; what he wrote is checked against next
        return


def _read(blobs: BlobStore) -> tuple[int, VaultRules | None]:
    names = [stored.name for stored in blobs.storage.list(RULES)]
    if not names:
        return 0, None
    newest = max(names)
    value = control.get(blobs, ObjectKind.MARK, newest)
    days = value.get("soft_delete_days")
    if type(days) is not int or not LEAST_DAYS <= days <= MOST_DAYS:
        raise VaultDataCorrupt(f"Vault object {newest} is damaged: {days!r} is no number of days.")
    try:
        rules = VaultRules(
            soft_delete=SoftDelete(control.text(value, "soft_delete")),
            soft_delete_days=days,
            immutability=Immutability(control.text(value, "immutability")),
        )
        return int(newest.removeprefix(RULES)), rules
    except ValueError as error:
        raise VaultDataCorrupt(f"Vault object {newest} is damaged: {error}") from error
