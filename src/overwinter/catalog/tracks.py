"""Tracks: per disk, which frozen layers hold the content of the last transferred point.

An increment is read relative to a track, so a track must never claim more than is certain: in doubt it is
deleted and the next backup reads the disk in full.
"""

from dataclasses import dataclass
from uuid import UUID

import sqlalchemy as sa

from overwinter.catalog.database import Transaction
from overwinter.catalog.tables import tracks


@dataclass(frozen=True)
class Track:
    """``layers`` (identities as JSON values, top first) together read as the disk map ``map_root``."""

    item_id: UUID
    target: str
    size: int
    layers: tuple[dict[str, str | int], ...]
    map_root: str
    chunk_size: int


def of_item(tx: Transaction, item_id: UUID) -> dict[str, Track]:
    """The tracks of an item by disk target."""
    rows = tx.execute(sa.select(tracks).where(tracks.c.item_id == item_id)).mappings()
    return {row["target"]: Track(**{**row, "layers": tuple(row["layers"])}) for row in rows}


def put(tx: Transaction, track: Track) -> None:
    """Write a disk's track, replacing the one before."""
    delete(tx, track.item_id, track.target)
    tx.execute(tracks.insert().values(**{**vars(track), "layers": list(track.layers)}))


def delete(tx: Transaction, item_id: UUID, target: str | None = None) -> None:
    """Forget a disk's track, or all of an item."""
    query = tracks.delete().where(tracks.c.item_id == item_id)
    tx.execute(query if target is None else query.where(tracks.c.target == target))
