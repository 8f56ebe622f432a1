"""Guest agents in the catalog: when each VM's last answered, and what it said of itself then."""

from dataclasses import asdict
from uuid import UUID

import sqlalchemy as sa

from overwinter.catalog.database import Transaction
from overwinter.catalog.tables import guest_agents
from overwinter.model.agent import GuestSystem, LastSeen


def last_seen(tx: Transaction, vm_uuid: UUID) -> LastSeen | None:
    """The last answer of a VM's agent, or None when it never answered."""
    row = tx.execute(sa.select(guest_agents).where(guest_agents.c.vm_uuid == vm_uuid)).mappings().first()
    return None if row is None else LastSeen(row["time"], row["version"], GuestSystem(**row["system"]))


def record(tx: Transaction, vm_uuid: UUID, answer: LastSeen) -> None:
    """Note an answer in the place of the one before; others may do the same at this moment."""
    values = {"time": answer.time, "version": answer.version, "system": asdict(answer.system)}
    known = guest_agents.update().where(guest_agents.c.vm_uuid == vm_uuid).values(**values)
    if tx.execute(known).rowcount:
        return
    try:
        with tx.begin_nested():
            tx.execute(guest_agents.insert().values(vm_uuid=vm_uuid, **values))
    except sa.exc.IntegrityError:
        tx.execute(known)  # another was first with the same VM
