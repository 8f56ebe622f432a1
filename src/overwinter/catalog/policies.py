"""Policies in the catalog."""

from uuid import UUID

import sqlalchemy as sa

from overwinter.catalog.database import Transaction
from overwinter.catalog.tables import policies, protected_items
from overwinter.model.errors import NotFound
from overwinter.model.policy import Policy
from overwinter.model.policy_reading import content_of


def _value(row: sa.RowMapping) -> Policy:
    return Policy(**row, content=content_of(row["document"]))


def put(tx: Transaction, policy: Policy) -> Policy:
    """Add a policy, or give the policy of that name in that vault a new content; its id stays."""
    found = find(tx, policy.vault_id, policy.name)
    values = {name: getattr(policy, name) for name in ("id", "vault_id", "name", "document")}
    if found is None:
        tx.execute(policies.insert().values(**values))
    else:
        values["id"] = found.id
        tx.execute(policies.update().where(policies.c.id == found.id).values(**values))
    return get(tx, policy.vault_id, policy.name)


def find(tx: Transaction, vault_id: UUID, name: str) -> Policy | None:
    """The policy of that name in a vault, or None."""
    query = sa.select(policies).where(
        policies.c.vault_id == vault_id, sa.func.lower(policies.c.name) == name.lower()
    )
    row = tx.execute(query).mappings().one_or_none()
    return None if row is None else _value(row)


def get(tx: Transaction, vault_id: UUID, name: str) -> Policy:
    """The policy of that name in a vault. Raises NotFound."""
    found = find(tx, vault_id, name)
    if found is None:
        raise NotFound(f"There is no policy named {name} in this vault. See: overwinter policy list")
    return found


def get_by_id(tx: Transaction, policy_id: UUID) -> Policy:
    """The policy with that id, which a foreign key promises to exist."""
    return _value(tx.execute(sa.select(policies).where(policies.c.id == policy_id)).mappings().one())


def of_vault(tx: Transaction, vault_id: UUID) -> list[Policy]:
    """All policies of a vault by name."""
    query = sa.select(policies).where(policies.c.vault_id == vault_id).order_by(policies.c.name)
    return [_value(row) for row in tx.execute(query).mappings()]


def item_count(tx: Transaction, policy_id: UUID) -> int:
    """How many items are bound to the policy."""
    query = sa.select(sa.func.count()).where(protected_items.c.policy_id == policy_id)
    return int(tx.execute(query).scalar_one())


def delete(tx: Transaction, policy_id: UUID) -> None:
    """Remove a policy that no item is bound to."""
    tx.execute(policies.delete().where(policies.c.id == policy_id))
