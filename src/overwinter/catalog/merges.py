"""Merges: notes of overlays being committed into the image below, written before the first byte moves."""

from dataclasses import dataclass, replace
from uuid import UUID

import sqlalchemy as sa

from overwinter.catalog import points
from overwinter.catalog.database import Transaction
from overwinter.catalog.tables import merges
from overwinter.model.point import DiskCapture, RestorePoint


@dataclass(frozen=True)
class Merge:
    """The overlay of one disk that goes into ``base``, the image directly below it."""

    vm_uuid: UUID
    target: str
    overlay: str
    base: str


def begin(tx: Transaction, merge: Merge) -> None:
    """Write the note before the first byte moves."""
    tx.execute(merges.insert().values(**vars(merge)))


def of_machine(tx: Transaction, vm_uuid: UUID) -> list[Merge]:
    """The merges of a VM that began and are not accounted for."""
    query = sa.select(merges).where(merges.c.vm_uuid == vm_uuid).order_by(merges.c.target)
    return [Merge(**row) for row in tx.execute(query).mappings()]


def complete(tx: Transaction, merge: Merge) -> None:
    """The merge is done: no restore point's chain names the overlay any more."""
    for point in points.restore_points_of(tx, merge.vm_uuid):
        shorter = without_layer(point, merge.target, merge.overlay)
        if shorter != point:
            points.update_disks(tx, shorter)
    tx.execute(merges.delete().where(merges.c.vm_uuid == merge.vm_uuid, merges.c.target == merge.target))


def forget(tx: Transaction, vm_uuid: UUID) -> None:
    """No merge of the VM needs to be accounted for any more: its chains are flat."""
    tx.execute(merges.delete().where(merges.c.vm_uuid == vm_uuid))


def without_layer(point: RestorePoint, target: str, path: str) -> RestorePoint:
    """The point with one layer taken out of one disk's chain."""

    def shorten(disk: DiskCapture) -> DiskCapture:
        if disk.target != target or path not in disk.chain:
            return disk
        kept = [pair for pair in zip(disk.chain, disk.formats, strict=True) if pair[0] != path]
        return replace(disk, chain=tuple(p for p, _ in kept), formats=tuple(f for _, f in kept))

    return replace(point, disks=tuple(shorten(disk) for disk in point.disks))
