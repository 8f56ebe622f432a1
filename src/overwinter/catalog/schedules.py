"""How far each protected item has come in its policy's schedule, so that no run is lost or done twice."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa

from overwinter.catalog.database import Transaction
from overwinter.catalog.tables import schedules


def done_until(tx: Transaction) -> dict[UUID, datetime]:
    """Per item the last moment of its schedule that is dealt with: started, or missed for good."""
    rows = tx.execute(sa.select(schedules.c.item_id, schedules.c.done_until))
    return {row.item_id: row.done_until for row in rows}


def set_done(tx: Transaction, item_id: UUID, moment: datetime) -> None:
    """Everything up to and with the moment is dealt with."""
    query = schedules.update().where(schedules.c.item_id == item_id).values(done_until=moment)
    if tx.execute(query).rowcount == 0:
        tx.execute(schedules.insert().values(item_id=item_id, done_until=moment))


def forget(tx: Transaction, item_ids: Iterable[UUID]) -> None:
    """The items have no schedule any more; if they get one again, it begins anew."""
    tx.execute(schedules.delete().where(schedules.c.item_id.in_(list(item_ids))))
