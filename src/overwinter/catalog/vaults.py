"""Vaults in the catalog."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa

from overwinter.catalog import tables, upkeep
from overwinter.catalog.database import Transaction
from overwinter.catalog.tables import vaults
from overwinter.model.errors import AlreadyExists, NotFound
from overwinter.model.protection import KeyKind, StackVersion, Vault
from overwinter.model.vault_rules import Immutability, SoftDelete, VaultRules


def _value(row: sa.RowMapping) -> Vault:
    values: dict[str, Any] = dict(row)
    rules = VaultRules(
        soft_delete=SoftDelete(values.pop("soft_delete")),
        soft_delete_days=values.pop("soft_delete_days"),
        immutability=Immutability(values.pop("immutability")),
    )
    kinds = {"key_kind": KeyKind(values["key_kind"]), "stack": StackVersion(values["stack"])}
    return Vault(**{**values, **kinds, "rules": rules})


def insert(tx: Transaction, vault: Vault) -> None:
    """Add a vault. Raises AlreadyExists when the name is taken (case does not count)."""
    if find(tx, vault.name) is not None:
        raise AlreadyExists(f"A vault named {vault.name} exists already.")
    values = {**vars(vault), **vars(vault.rules)}
    del values["rules"]
    tx.execute(vaults.insert().values(**values))


def find(tx: Transaction, name: str) -> Vault | None:
    """The vault of that name, or None."""
    query = sa.select(vaults).where(sa.func.lower(vaults.c.name) == name.lower())
    row = tx.execute(query).mappings().one_or_none()
    return None if row is None else _value(row)


def get(tx: Transaction, name: str) -> Vault:
    """The vault of that name. Raises NotFound."""
    found = find(tx, name)
    if found is None:
        raise NotFound(f"There is no vault named {name}. List them with: overwinter vault list")
    return found


def get_by_id(tx: Transaction, vault_id: UUID) -> Vault:
    """The vault with that id, which a foreign key promises to exist."""
    return _value(tx.execute(sa.select(vaults).where(vaults.c.id == vault_id)).mappings().one())


def every(tx: Transaction) -> list[Vault]:
    """All vaults by name."""
    return [_value(row) for row in tx.execute(sa.select(vaults).order_by(vaults.c.name)).mappings()]


def set_key(tx: Transaction, vault_id: UUID, kind: KeyKind, reference: str) -> Vault:
    """Note another secret that opens the vault, and give the vault as it is now."""
    tx.execute(vaults.update().where(vaults.c.id == vault_id).values(key_kind=kind, key_reference=reference))
    return get_by_id(tx, vault_id)


def upgrade_stack(tx: Transaction, vault_id: UUID) -> Vault:
    """Bring a vault to stack V2, for good, and give it as it is now."""
    tx.execute(vaults.update().where(vaults.c.id == vault_id).values(stack=StackVersion.V2))
    return get_by_id(tx, vault_id)


def set_rules(tx: Transaction, vault_id: UUID, rules: VaultRules) -> Vault:
    """Note the rules that the vault keeps, and give the vault as it is now."""
    tx.execute(vaults.update().where(vaults.c.id == vault_id).values(**vars(rules)))
    return get_by_id(tx, vault_id)


def delete(tx: Transaction, vault_id: UUID) -> None:
    """Remove an empty vault with its policies and job history."""
    upkeep.delete(tx, vault_id)
    jobs_of_vault = sa.select(tables.jobs.c.id).where(tables.jobs.c.vault_id == vault_id)
    tx.execute(tables.job_tasks.delete().where(tables.job_tasks.c.job_id.in_(jobs_of_vault)))
    tx.execute(tables.jobs.delete().where(tables.jobs.c.vault_id == vault_id))
    tx.execute(tables.policies.delete().where(tables.policies.c.vault_id == vault_id))
    tx.execute(vaults.delete().where(vaults.c.id == vault_id))
