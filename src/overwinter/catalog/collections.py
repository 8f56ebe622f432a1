"""Restore point collections in the catalog."""

from uuid import UUID

import sqlalchemy as sa

from overwinter.catalog.database import Transaction
from overwinter.catalog.tables import restore_point_collections, restore_points
from overwinter.model.errors import NotFound
from overwinter.model.point import RestorePointCollection


def _select(tx: Transaction, *conditions: sa.ColumnElement[bool]) -> list[RestorePointCollection]:
    table = restore_point_collections
    query = sa.select(table).where(*conditions).order_by(table.c.resource_group, table.c.name)
    return [RestorePointCollection(**row) for row in tx.execute(query).mappings()]


def every(tx: Transaction) -> list[RestorePointCollection]:
    """All collections, by group and name."""
    return _select(tx)


def of_machine(tx: Transaction, vm_uuid: UUID) -> list[RestorePointCollection]:
    """All collections of a VM, in whatever groups."""
    return _select(tx, restore_point_collections.c.vm_uuid == vm_uuid)


def get(tx: Transaction, resource_group: str, name: str) -> RestorePointCollection:
    """The collection of that name in that group; letter case does not count. Raises NotFound."""
    table = restore_point_collections
    found = _select(
        tx,
        sa.func.lower(table.c.resource_group) == resource_group.lower(),
        sa.func.lower(table.c.name) == name.lower(),
    )
    if not found:
        raise NotFound(
            f"There is no restore point collection {name} in {resource_group}. List them with: "
            "overwinter collection list"
        )
    return found[0]


def find_by_id(tx: Transaction, collection_id: UUID) -> RestorePointCollection | None:
    """The collection with that id, or None when it was deleted."""
    found = _select(tx, restore_point_collections.c.id == collection_id)
    return found[0] if found else None


def insert(tx: Transaction, collection: RestorePointCollection) -> None:
    """Add a collection."""
    tx.execute(restore_point_collections.insert().values(**vars(collection)))


def delete_if_empty(tx: Transaction, collection: RestorePointCollection) -> None:
    """Remove a collection that holds no restore point."""
    table = restore_point_collections
    filled = sa.select(restore_points.c.collection_id)
    tx.execute(table.delete().where(table.c.id == collection.id, table.c.id.not_in(filled)))
