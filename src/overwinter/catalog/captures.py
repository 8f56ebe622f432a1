"""Captures: the notes written before a freeze, so that a crash inside the window is found and put right."""

from dataclasses import asdict, dataclass
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa

from overwinter.catalog.database import Transaction
from overwinter.catalog.tables import captures
from overwinter.model.point import DiskCapture


@dataclass(frozen=True)
class Capture:
    """A snapshot about to be taken, or taken and not yet a restore point. ``id`` becomes the point's."""

    id: UUID
    job_id: UUID
    vm_uuid: UUID
    vm_name: str
    created: datetime
    disks: tuple[DiskCapture, ...]


def disks_to_json(disks: tuple[DiskCapture, ...]) -> list[dict[str, object]]:
    """Disks of a point as the catalog keeps them."""
    return [asdict(disk) for disk in disks]


def disks_from_json(document: list[dict[str, object]]) -> tuple[DiskCapture, ...]:
    """The reverse of ``disks_to_json``."""
    return tuple(
        DiskCapture(
            target=str(disk["target"]),
            lun=int(str(disk["lun"])),
            size=int(str(disk["size"])),
            chain=tuple(disk["chain"]),  # type: ignore[arg-type]  # written by disks_to_json
            formats=tuple(disk["formats"]),  # type: ignore[arg-type]
            overlay=str(disk["overlay"]),
        )
        for disk in document
    )


def insert(tx: Transaction, capture: Capture) -> None:
    """Write the note."""
    tx.execute(captures.insert().values(**{**vars(capture), "disks": disks_to_json(capture.disks)}))


def _select(tx: Transaction, *conditions: sa.ColumnElement[bool]) -> list[Capture]:
    query = sa.select(captures).where(*conditions).order_by(captures.c.created)
    rows = tx.execute(query).mappings()
    return [Capture(**{**row, "disks": disks_from_json(row["disks"])}) for row in rows]


def every(tx: Transaction) -> list[Capture]:
    """All open captures."""
    return _select(tx)


def of_machine(tx: Transaction, vm_uuid: UUID) -> list[Capture]:
    """Those of one VM."""
    return _select(tx, captures.c.vm_uuid == vm_uuid)


def of_job(tx: Transaction, job_id: UUID) -> Capture | None:
    """The open capture of a job, or None."""
    found = _select(tx, captures.c.job_id == job_id)
    return found[0] if found else None


def delete(tx: Transaction, capture_id: UUID) -> None:
    """The capture became a point, or did not happen."""
    tx.execute(captures.delete().where(captures.c.id == capture_id))
