"""Protected VMs are followed by their UUID: through a new name, and when they are gone."""

from dataclasses import replace

import structlog

from overwinter.catalog import items
from overwinter.catalog.database import Transaction
from overwinter.hypervisor import inventory
from overwinter.jobs.runtime import Runtime
from overwinter.model.errors import NotFound, ProtectedVmNotFound
from overwinter.model.protection import ProtectedItem
from overwinter.model.vm import VirtualMachine

log = structlog.get_logger(__name__)


def machine_of(runtime: Runtime, item: ProtectedItem) -> VirtualMachine:
    """The VM of an item, its name noted. Raises ProtectedVmNotFound, HypervisorUnavailable."""
    try:
        machine = inventory.machine(runtime.hypervisor, item.vm_uuid)
    except NotFound as error:
        with runtime.catalog.transaction() as tx:
            _note(tx, runtime, item, None)
        raise ProtectedVmNotFound(
            f"{item.vm_name} ({item.vm_uuid}) does not exist on this host any more; its recovery points are "
            "kept and can be restored."
        ) from error
    with runtime.catalog.transaction() as tx:
        _note(tx, runtime, item, machine.name)
    return machine


def all_machines(runtime: Runtime) -> None:
    """Note the names of all protected VMs, and which are gone. Raises HypervisorUnavailable."""
    names = inventory.names(runtime.hypervisor)
    with runtime.catalog.transaction() as tx:
        for item in items.every(tx):
            _note(tx, runtime, item, names.get(item.vm_uuid))


def _note(tx: Transaction, runtime: Runtime, item: ProtectedItem, name: str | None) -> None:
    if name is None:
        seen = replace(item, missing_since=item.missing_since or runtime.clock())
    else:
        free = items.free_name(tx, item.vault_id, name, item.vm_uuid)
        seen = replace(item, vm_name=free, missing_since=None)
    if seen != item:
        items.put(tx, seen)
        log.info("a protected VM has changed", vm=item.vm_name, name=name)
