"""Restore points and recovery points in the catalog."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from overwinter.catalog.captures import disks_from_json, disks_to_json
from overwinter.catalog.database import Transaction
from overwinter.catalog.freezes import freeze_from_json, freeze_to_json
from overwinter.catalog.tables import (
    protected_items,
    recovery_points,
    restore_point_collections,
    restore_points,
)
from overwinter.model.errors import NotFound
from overwinter.model.long_term import RuleName
from overwinter.model.point import Consistency, RecoveryPoint, RestorePoint


@dataclass(frozen=True)
class MachineState:
    """What belongs to a VM besides its disks, as captured with a restore point."""

    domain_xml: str
    nvram: bytes | None


def _restore_point(row: sa.RowMapping) -> RestorePoint:
    return RestorePoint(
        id=row["id"],
        collection_id=row["collection_id"],
        name=row["name"],
        created=row["created"],
        consistency=Consistency(row["consistency"]),
        freeze_ms=row["freeze_ms"],
        disks=disks_from_json(row["disks"]),
    )


def insert_restore_point(tx: Transaction, point: RestorePoint, state: MachineState) -> None:
    """Add a restore point with the VM's state."""
    values: dict[str, Any] = {**vars(point), **vars(state), "disks": disks_to_json(point.disks)}
    tx.execute(restore_points.insert().values(**values))


def update_disks(tx: Transaction, point: RestorePoint) -> None:
    """Write a restore point's disks anew: its chain became shorter by a merge."""
    query = restore_points.update().where(restore_points.c.id == point.id)
    tx.execute(query.values(disks=disks_to_json(point.disks)))


def find_restore_point(tx: Transaction, point_id: UUID) -> RestorePoint | None:
    """The restore point with that id, or None."""
    row = tx.execute(sa.select(restore_points).where(restore_points.c.id == point_id)).mappings().first()
    return None if row is None else _restore_point(row)


def machine_state(tx: Transaction, point_id: UUID) -> MachineState:
    """What was captured besides the disks."""
    columns = (restore_points.c.domain_xml, restore_points.c.nvram)
    row = tx.execute(sa.select(*columns).where(restore_points.c.id == point_id)).one()
    return MachineState(*row)


def restore_points_of(tx: Transaction, vm_uuid: UUID) -> list[RestorePoint]:
    """All restore points of a VM over all its collections, oldest first."""
    query = (
        sa.select(restore_points)
        .join(restore_point_collections)
        .where(restore_point_collections.c.vm_uuid == vm_uuid)
        .order_by(restore_points.c.created)
    )
    return [_restore_point(row) for row in tx.execute(query).mappings()]


def machines_with_restore_points(tx: Transaction) -> list[UUID]:
    """The VMs that have restore points."""
    query = sa.select(restore_point_collections.c.vm_uuid).join(restore_points).distinct()
    return list(tx.execute(query).scalars())


def restore_points_in(tx: Transaction, collection_id: UUID) -> list[RestorePoint]:
    """The restore points of one collection, oldest first."""
    query = (
        sa.select(restore_points)
        .where(restore_points.c.collection_id == collection_id)
        .order_by(restore_points.c.created)
    )
    return [_restore_point(row) for row in tx.execute(query).mappings()]


def withdraw_restore_point(tx: Transaction, point_id: UUID) -> None:
    """No longer offer a restore point: its chain is about to change. Its row still names its overlays."""
    of_point = recovery_points.c.restore_point == point_id
    tx.execute(recovery_points.delete().where(of_point, recovery_points.c.manifest.is_(None)))
    tx.execute(recovery_points.update().where(of_point).values(restore_point=None))


def delete_restore_point(tx: Transaction, point_id: UUID) -> None:
    """Remove a restore point; recovery points that also have a vault tier keep it, others go with it."""
    withdraw_restore_point(tx, point_id)
    tx.execute(restore_points.delete().where(restore_points.c.id == point_id))


def _recovery_point(row: sa.RowMapping) -> RecoveryPoint:
    changed = {
        "consistency": Consistency(row["consistency"]),
        "warnings": tuple(row["warnings"]),
        "rule": None if row["rule"] is None else RuleName(row["rule"]),
        "freeze": freeze_from_json(row["freeze"]),
    }
    return RecoveryPoint(**{**row, **changed})


def put_recovery_point(tx: Transaction, point: RecoveryPoint) -> None:
    """Add a recovery point, or replace the one with the same id."""
    changed = {"warnings": list(point.warnings), "freeze": freeze_to_json(point.freeze)}
    values: dict[str, Any] = {**vars(point), **changed}
    found = tx.execute(sa.select(recovery_points.c.id).where(recovery_points.c.id == point.id)).first()
    if found is None:
        tx.execute(recovery_points.insert().values(**values))
    else:
        tx.execute(recovery_points.update().where(recovery_points.c.id == point.id).values(**values))


def free_recovery_point_id(tx: Transaction, wanted: str) -> str:
    """``wanted``, or the next number that no recovery point has: copies have the time of their originals."""
    number = int(wanted)
    while tx.execute(sa.select(recovery_points.c.id).where(recovery_points.c.id == str(number))).first():
        number += 1
    return str(number)


def delete_recovery_point(tx: Transaction, point: RecoveryPoint) -> None:
    """Remove a recovery point, in whatever tier it is."""
    tx.execute(recovery_points.delete().where(recovery_points.c.id == point.id))


def recovery_points_of(tx: Transaction, item_id: UUID) -> list[RecoveryPoint]:
    """All recovery points of an item, oldest first."""
    query = (
        sa.select(recovery_points)
        .where(recovery_points.c.item_id == item_id)
        .order_by(recovery_points.c.created)
    )
    return [_recovery_point(row) for row in tx.execute(query).mappings()]


def recovery_points_in(tx: Transaction, vault_id: UUID) -> list[RecoveryPoint]:
    """All recovery points of a vault, oldest first."""
    query = (
        sa.select(recovery_points)
        .join(protected_items)
        .where(protected_items.c.vault_id == vault_id)
        .order_by(recovery_points.c.created)
    )
    return [_recovery_point(row) for row in tx.execute(query).mappings()]


def expired_or_due(tx: Transaction, vault_id: UUID, now: datetime) -> set[UUID]:
    """Items of a vault with a point in it that expires, or whose days after deletion end, before ``now``.

    They are candidates only: what may really go is a rule of the model.
    """
    query = (
        sa.select(recovery_points.c.item_id)
        .join(protected_items)
        .where(
            protected_items.c.vault_id == vault_id,
            recovery_points.c.manifest.is_not(None),
            sa.or_(recovery_points.c.expires <= now, recovery_points.c.deleted_until <= now),
        )
    )
    return set(tx.execute(query.distinct()).scalars())


def get_recovery_point(tx: Transaction, item_id: UUID, point_id: str) -> RecoveryPoint:
    """One recovery point of an item. Raises NotFound."""
    for point in recovery_points_of(tx, item_id):
        if point.id == point_id:
            return point
    raise NotFound(f"There is no recovery point {point_id}. List them with: overwinter points VM")


def ids_by_manifest(tx: Transaction, vault_id: UUID) -> dict[str, str]:
    """Ids of the recovery points of a vault, by their names in it."""
    return {
        point.manifest: point.id for point in recovery_points_in(tx, vault_id) if point.manifest is not None
    }


def only_in_snapshot_tier(tx: Transaction) -> set[UUID]:
    """The restore points whose recovery points no vault holds."""
    held = (recovery_points.c.manifest.is_(None), recovery_points.c.restore_point.is_not(None))
    return set(tx.execute(sa.select(recovery_points.c.restore_point).where(*held)).scalars())


def recovery_point_of(tx: Transaction, restore_point: UUID) -> RecoveryPoint | None:
    """The recovery point whose snapshot tier is that restore point, or None."""
    query = sa.select(recovery_points).where(recovery_points.c.restore_point == restore_point)
    row = tx.execute(query).mappings().first()
    return None if row is None else _recovery_point(row)
