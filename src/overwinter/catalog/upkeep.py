"""Upkeep of vaults in the catalog: what was removed from each since its space was freed."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa

from overwinter.catalog.database import Transaction
from overwinter.catalog.tables import vault_upkeep


@dataclass(frozen=True)
class Upkeep:
    """``removed_points`` have gone since ``collected``, when the vault's space was freed; null: never."""

    removed_points: int = 0
    collected: datetime | None = None


def of_vault(tx: Transaction, vault_id: UUID) -> Upkeep:
    """The account of a vault."""
    columns = (vault_upkeep.c.removed_points, vault_upkeep.c.collected)
    row = tx.execute(sa.select(*columns).where(vault_upkeep.c.vault_id == vault_id)).first()
    return Upkeep() if row is None else Upkeep(*row)


def note_removed(tx: Transaction, vault_id: UUID, points: int) -> None:
    """So many points have gone from the vault."""
    before = of_vault(tx, vault_id)
    _put(tx, vault_id, Upkeep(before.removed_points + points, before.collected))


def note_collected(tx: Transaction, vault_id: UUID, now: datetime) -> None:
    """The vault's space was freed."""
    _put(tx, vault_id, Upkeep(0, now))


def delete(tx: Transaction, vault_id: UUID) -> None:
    """Forget the account of a vault."""
    tx.execute(vault_upkeep.delete().where(vault_upkeep.c.vault_id == vault_id))


def _put(tx: Transaction, vault_id: UUID, account: Upkeep) -> None:
    delete(tx, vault_id)
    tx.execute(vault_upkeep.insert().values(vault_id=vault_id, **vars(account)))
