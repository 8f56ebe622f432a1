"""Small facts about this installation, made once and kept (the subscription id)."""

import sqlalchemy as sa

from overwinter.catalog.database import Transaction
from overwinter.catalog.tables import settings


def get_or_set(tx: Transaction, name: str, value: str) -> str:
    """The value kept under ``name``; ``value`` becomes it when there is none yet."""
    found = tx.execute(sa.select(settings.c.value).where(settings.c.name == name)).scalar_one_or_none()
    if found is not None:
        return str(found)
    tx.execute(settings.insert().values(name=name, value=value))
    return value
