"""Which locks stand in the way of what: the one place that joins locks, collections and VMs.

A VM's restore points are held by locks on their collection, on the group of the collection, and on the VM's
own resource group: the reference articles speak of the last two, and who locks a VM's group means its points
as well.
"""

from uuid import UUID, uuid4

from overwinter.catalog import collections, items, locks, points
from overwinter.catalog.database import Transaction
from overwinter.model import names
from overwinter.model.collection import collection_for, group_naming
from overwinter.model.lock import Access, Lock, LockScope, blocking, refuse
from overwinter.model.point import RestorePointCollection
from overwinter.model.policy import Policy
from overwinter.model.protection import ProtectedItem


def scopes_of(tx: Transaction, collection: RestorePointCollection) -> list[LockScope]:
    """The scopes in which a lock holds the points of a collection."""
    groups = {item.resource_group for item in items.of_machine(tx, collection.vm_uuid)}
    own = LockScope(collection.resource_group, collection.name)
    return [own, *(LockScope(group) for group in sorted(groups))]


def refuse_for_machine(tx: Transaction, vm_uuid: UUID, access: Access, what: str) -> None:
    """Raise ScopeLocked when a lock forbids the access to any restore point of a VM."""
    scopes = [scope for each in collections.of_machine(tx, vm_uuid) for scope in scopes_of(tx, each)]
    scopes += [LockScope(item.resource_group) for item in items.of_machine(tx, vm_uuid)]
    refuse(locks.every(tx), access, scopes, what)


def refuse_for_group(tx: Transaction, resource_group: str, what: str) -> None:
    """Raise ScopeLocked when a lock forbids to delete what is in a resource group."""
    refuse(locks.every(tx), Access.DELETE, [LockScope(resource_group)], what)


def remove_empty_collections(tx: Transaction, vm_uuid: UUID) -> None:
    """Remove the collections of a VM that hold no restore point, unless a lock holds them."""
    known = locks.every(tx)
    for collection in collections.of_machine(tx, vm_uuid):
        if blocking(known, Access.DELETE, scopes_of(tx, collection)) is None:
            collections.delete_if_empty(tx, collection)


def refuse_new_point(tx: Transaction, item: ProtectedItem, policy: Policy) -> None:
    """Raise ScopeLocked when a lock forbids to add a restore point where the next one would go."""
    naming = group_naming(policy.content, names.LOCATION)
    goal = collection_for(item.vm_uuid, item.vm_name, naming, collections.every(tx), uuid4())
    refuse(locks.every(tx), Access.WRITE, scopes_of(tx, goal), f"Restore points of {item.vm_name}")


def held_points(tx: Transaction, vm_uuid: UUID) -> dict[UUID, Lock]:
    """Of a VM's restore points, by id, those that may not be deleted, each with a lock that says so."""
    known = locks.every(tx)
    holding = {
        collection.id: blocking(known, Access.DELETE, scopes_of(tx, collection))
        for collection in collections.of_machine(tx, vm_uuid)
    }
    existing = points.restore_points_of(tx, vm_uuid)
    return {point.id: lock for point in existing if (lock := holding[point.collection_id]) is not None}
