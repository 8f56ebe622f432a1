"""All faults, in the order in which the gallery shows them."""

from testkit.gallery.fault import Fault
from testkit.gallery.faults import (
    agent,
    block_jobs,
    chain,
    disks,
    freeze,
    host,
    object_store,
    points,
    power,
    protection,
    service,
    space,
    vault_damage,
    vault_storage,
)

FAULTS: tuple[Fault, ...] = (
    *agent.FAULTS,
    *freeze.FAULTS,
    *power.FAULTS,
    *space.FAULTS,
    *chain.FAULTS,
    *block_jobs.FAULTS,
    *disks.FAULTS,
    *points.FAULTS,
    *protection.FAULTS,
    *vault_storage.FAULTS,
    *object_store.FAULTS,
    *vault_damage.FAULTS,
    *host.FAULTS,
    *service.FAULTS,
)
