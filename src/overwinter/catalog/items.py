"""Protected items in the catalog."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from overwinter.catalog.database import Transaction
from overwinter.catalog.tables import protected_items, recovery_points, schedules, tracks
from overwinter.model.disk_selection import DiskSelection
from overwinter.model.errors import NotFound, ProtectedInAnotherVault
from overwinter.model.protection import ProtectedItem, ProtectionState


def _value(row: sa.RowMapping) -> ProtectedItem:
    disks = DiskSelection(tuple(row["disks"]["luns"]), row["disks"]["included"])
    return ProtectedItem(**{**row, "state": ProtectionState(row["state"]), "disks": disks})


def put(tx: Transaction, item: ProtectedItem) -> None:
    """Add an item, or replace the one with the same id.

    Raises ProtectedInAnotherVault when it is active and so is another item of its VM; the database itself
    guarantees it (a unique index), so two requests at once cannot both pass.
    """
    disks = {"luns": list(item.disks.luns), "included": item.disks.included}
    values: dict[str, Any] = {**vars(item), "disks": disks}
    try:
        with tx.begin_nested():
            if find_by_id(tx, item.id) is None:
                tx.execute(protected_items.insert().values(**values))
            else:
                tx.execute(protected_items.update().where(protected_items.c.id == item.id).values(**values))
    except sa.exc.IntegrityError as error:
        raise ProtectedInAnotherVault(
            f"{item.vm_name} is protected in another vault already. Stop that protection first: "
            f"overwinter unprotect {item.vm_name} --keep-data --vault OTHER"
        ) from error


def _select(tx: Transaction, *conditions: sa.ColumnElement[bool]) -> list[ProtectedItem]:
    query = sa.select(protected_items).where(*conditions).order_by(protected_items.c.vm_name)
    return [_value(row) for row in tx.execute(query).mappings()]


def every(tx: Transaction, vault_id: UUID | None = None) -> list[ProtectedItem]:
    """All items, or those of one vault."""
    return _select(tx, *([] if vault_id is None else [protected_items.c.vault_id == vault_id]))


def get(tx: Transaction, vault_id: UUID, vm_name: str) -> ProtectedItem:
    """The item of a VM in a vault, by the name it was protected under. Raises NotFound."""
    found = _select(
        tx,
        protected_items.c.vault_id == vault_id,
        sa.func.lower(protected_items.c.vm_name) == vm_name.lower(),
    )
    if not found:
        raise NotFound(f"{vm_name} is not an item of this vault.")
    return found[0]


def find_by_id(tx: Transaction, item_id: UUID) -> ProtectedItem | None:
    """The item with that id, or None when it was deleted."""
    found = _select(tx, protected_items.c.id == item_id)
    return found[0] if found else None


def of_machine(tx: Transaction, vm_uuid: UUID) -> list[ProtectedItem]:
    """The items of a VM in all vaults; at most one of them is active."""
    return _select(tx, protected_items.c.vm_uuid == vm_uuid)


def free_name(tx: Transaction, vault_id: UUID, vm_name: str, vm_uuid: UUID) -> str:
    """``vm_name``, or with a part of the UUID behind it when the vault has an item of that name.

    Items are addressed by name, and two VMs, one after the other, may have the same.
    """
    others = (item for item in every(tx, vault_id) if item.vm_uuid != vm_uuid)
    taken = {item.vm_name.casefold() for item in others}
    return f"{vm_name}-{vm_uuid.hex[:8]}" if vm_name.casefold() in taken else vm_name


def record_backup(
    tx: Transaction, item_id: UUID, *, started: datetime, status: str, point: datetime | None
) -> None:
    """Note how the last backup ended; ``point`` is the time of the recovery point it made, if it made one."""
    values: dict[str, Any] = {"last_backup": started, "last_backup_status": status}
    if point is not None:
        values["last_recovery_point"] = point
        tx.execute(
            protected_items.update()
            .where(protected_items.c.id == item_id, protected_items.c.state == ProtectionState.PENDING)
            .values(state=ProtectionState.PROTECTED)
        )
    tx.execute(protected_items.update().where(protected_items.c.id == item_id).values(**values))


def delete(tx: Transaction, item_id: UUID) -> None:
    """Remove an item with its recovery points and tracks."""
    tx.execute(recovery_points.delete().where(recovery_points.c.item_id == item_id))
    tx.execute(tracks.delete().where(tracks.c.item_id == item_id))
    tx.execute(schedules.delete().where(schedules.c.item_id == item_id))
    tx.execute(protected_items.delete().where(protected_items.c.id == item_id))
