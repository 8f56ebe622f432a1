"""Management locks in the catalog."""

import sqlalchemy as sa

from overwinter.catalog.database import Transaction
from overwinter.catalog.tables import locks
from overwinter.model.errors import LockNotFound
from overwinter.model.lock import Lock, LockLevel, LockScope


def _value(row: sa.RowMapping) -> Lock:
    return Lock(
        id=row["id"],
        name=row["name"],
        level=LockLevel(row["level"]),
        notes=row["notes"],
        created=row["created"],
        scope=LockScope(row["resource_group"], row["collection"] or None),
    )


def _named(scope: LockScope, name: str) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        sa.func.lower(locks.c.resource_group) == scope.resource_group.lower(),
        sa.func.lower(locks.c.collection) == (scope.collection or "").lower(),
        sa.func.lower(locks.c.name) == name.lower(),
    )


def every(tx: Transaction) -> list[Lock]:
    """All locks, by scope and name."""
    query = sa.select(locks).order_by(locks.c.resource_group, locks.c.collection, locks.c.name)
    return [_value(row) for row in tx.execute(query).mappings()]


def find(tx: Transaction, scope: LockScope, name: str) -> Lock | None:
    """The lock of that name on exactly that scope, or None."""
    row = tx.execute(sa.select(locks).where(*_named(scope, name))).mappings().one_or_none()
    return None if row is None else _value(row)


def get(tx: Transaction, scope: LockScope, name: str) -> Lock:
    """The lock of that name on exactly that scope. Raises LockNotFound."""
    found = find(tx, scope, name)
    if found is None:
        raise LockNotFound(f"There is no lock {name} on {scope}. List them with: overwinter lock list")
    return found


def put(tx: Transaction, lock: Lock) -> Lock:
    """Add a lock, or give the lock of that name on that scope another level and notes."""
    found = find(tx, lock.scope, lock.name)
    if found is None:
        values = {
            "id": lock.id,
            "name": lock.name,
            "level": lock.level,
            "notes": lock.notes,
            "created": lock.created,
            "resource_group": lock.scope.resource_group,
            "collection": lock.scope.collection or "",
        }
        tx.execute(locks.insert().values(**values))
    else:
        tx.execute(locks.update().where(locks.c.id == found.id).values(level=lock.level, notes=lock.notes))
    return get(tx, lock.scope, lock.name)


def delete(tx: Transaction, lock: Lock) -> None:
    """Remove a lock."""
    tx.execute(locks.delete().where(locks.c.id == lock.id))
