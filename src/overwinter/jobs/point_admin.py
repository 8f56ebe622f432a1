"""What a caller may ask of restore points on the host: see and delete collections, clean up, set locks.

As in ``service``: what takes long becomes a job; what is known to be impossible is raised at once.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

from overwinter.catalog import collections, items, locks, points, vaults
from overwinter.catalog import jobs as job_table
from overwinter.catalog.database import Transaction
from overwinter.jobs import clean_up, locking, shield
from overwinter.jobs.engine import JobEngine
from overwinter.jobs.runtime import Runtime
from overwinter.model.errors import NotFound, RequestError, ResourceGroupNotFound
from overwinter.model.job import CLEAN_UP_POINTS, Job, JobOperation, JobStatus, Task
from overwinter.model.lock import Access, Lock, LockLevel, LockScope, refuse
from overwinter.model.names import DEFAULT_RESOURCE_GROUP
from overwinter.model.point import RestorePoint, RestorePointCollection
from overwinter.model.protection import ProtectedItem

#: Names of locks as ARM allows them.
_LOCK_NAME = re.compile(r"[^<>%&\\?/\x00-\x1f]{1,259}[^<>%&\\?/\x00-\x1f.\s]|[^<>%&\\?/\x00-\x1f.\s]")


@dataclass(frozen=True)
class CollectionContent:
    """A collection with its restore points, oldest first.

    ``snapshot_only`` are those whose recovery point no vault holds: who deletes them loses that point.
    ``locks`` hold the points.
    """

    collection: RestorePointCollection
    points: tuple[RestorePoint, ...]
    snapshot_only: frozenset[UUID]
    locks: tuple[Lock, ...]


class RestorePointAdmin:
    """Part of the face of the jobs room. Safe to call from many threads."""

    def __init__(self, runtime: Runtime, engine: JobEngine) -> None:
        self._runtime = runtime
        self._engine = engine

    # --- groups and collections -----------------------------------------------------------------------------

    def groups(self) -> list[str]:
        """All resource groups: of VMs, of vaults, of restore point collections."""
        with self._runtime.catalog.transaction() as tx:
            return _groups(tx)

    def collections(self) -> list[CollectionContent]:
        """All collections with what is in them."""
        with self._runtime.catalog.transaction() as tx:
            return _contents(tx, collections.every(tx))

    def collection(self, resource_group: str, name: str) -> CollectionContent:
        """One collection. Raises NotFound."""
        with self._runtime.catalog.transaction() as tx:
            return _contents(tx, [collections.get(tx, resource_group, name)])[0]

    def delete_points(self, resource_group: str, name: str, point: str | None = None) -> Job:
        """Start the deletion of all restore points of a collection and of itself, or of one restore point.

        Recovery points that a vault holds stay there. Raises NotFound, ScopeLocked,
        BackupOperationInProgress.
        """
        with self._runtime.catalog.transaction() as tx:
            content = _contents(tx, [collections.get(tx, resource_group, name)])[0]
            collection = content.collection
            parameters: dict[str, object] = {
                clean_up.COLLECTION: str(collection.id),
                "collection_name": collection.name,
            }
            if point is not None:
                found = _find(content, point)
                parameters |= {clean_up.POINT: str(found.id), "point_name": found.name}
            scopes = locking.scopes_of(tx, collection)
            refuse(locks.every(tx), Access.DELETE, scopes, f"Restore points of {collection.vm_name}")
            job = Job(
                id=uuid4(),
                vault_id=_vault_of(tx, collection),
                item_id=None,
                vm_uuid=collection.vm_uuid,
                vm_name=collection.vm_name,
                operation=JobOperation.DELETE_POINTS,
                status=JobStatus.IN_PROGRESS,
                started=self._runtime.clock(),
                tasks=(Task(CLEAN_UP_POINTS),),
                parameters=parameters,
            )
            job_table.insert(tx, job)
        self._engine.enqueue(job)
        return job

    def clean_up(self, item: ProtectedItem) -> Job:
        """Start the removal of a VM's expired restore points. Raises BackupOperationInProgress."""
        job = clean_up.new_job(item, self._runtime.clock())
        with self._runtime.catalog.transaction() as tx:
            job_table.insert(tx, job)
        self._engine.enqueue(job)
        return job

    # --- locks ----------------------------------------------------------------------------------------------

    def locks(self) -> list[Lock]:
        """All locks."""
        with self._runtime.catalog.transaction() as tx:
            return locks.every(tx)

    def lock(self, scope: LockScope, name: str) -> Lock:
        """One lock. Raises LockNotFound."""
        with self._runtime.catalog.transaction() as tx:
            return locks.get(tx, scope, name)

    def put_lock(self, scope: LockScope, name: str, level: LockLevel, notes: str | None) -> Lock:
        """Set a lock, or change the one of that name. It holds when this returns, on disk as well.

        Raises ResourceGroupNotFound, NotFound for the collection, RequestError for a name that is none.
        """
        if not _LOCK_NAME.fullmatch(name):
            raise RequestError(
                f"{name[:80]!r} is no name for a lock: up to 260 characters, without <>%&\\?/, "
                "no dot at the end."
            )
        with self._runtime.catalog.transaction() as tx:
            scope = _existing(tx, scope)
            lock = locks.put(tx, Lock(uuid4(), name, level, notes, self._runtime.clock(), scope))
            touched = _machines_under(tx, scope)
        self._settle(touched)
        return lock

    def delete_lock(self, scope: LockScope, name: str) -> None:
        """Remove a lock. Raises LockNotFound."""
        with self._runtime.catalog.transaction() as tx:
            lock = locks.get(tx, scope, name)
            locks.delete(tx, lock)
            touched = _machines_under(tx, lock.scope)
        self._settle(touched)

    def _settle(self, machines: list[UUID]) -> None:
        for vm_uuid in machines:
            shield.settle(self._runtime, vm_uuid)


def _groups(tx: Transaction) -> list[str]:
    found = {DEFAULT_RESOURCE_GROUP.casefold(): DEFAULT_RESOURCE_GROUP}
    of_vaults = [vault.resource_group for vault in vaults.every(tx)]
    of_items = [item.resource_group for item in items.every(tx)]
    of_points = [collection.resource_group for collection in collections.every(tx)]
    for group in (*of_vaults, *of_items, *of_points):
        found.setdefault(group.casefold(), group)
    return sorted(found.values())


def _existing(tx: Transaction, scope: LockScope) -> LockScope:
    """The scope as it is spelled. Raises NotFound, ResourceGroupNotFound."""
    if scope.collection is not None:
        found = collections.get(tx, scope.resource_group, scope.collection)
        return LockScope(found.resource_group, found.name)
    for group in _groups(tx):
        if group.casefold() == scope.resource_group.casefold():
            return LockScope(group)
    raise ResourceGroupNotFound(f"There is no resource group {scope.resource_group!r}.")


def _machines_under(tx: Transaction, scope: LockScope) -> list[UUID]:
    """The VMs some of whose restore points a lock on the scope holds."""
    return sorted(
        {
            collection.vm_uuid
            for collection in collections.every(tx)
            if any(scope.covers(each) for each in locking.scopes_of(tx, collection))
        }
    )


def _contents(tx: Transaction, wanted: Sequence[RestorePointCollection]) -> list[CollectionContent]:
    snapshot_only, known = points.only_in_snapshot_tier(tx), locks.every(tx)
    contents = []
    for collection in wanted:
        found = points.restore_points_in(tx, collection.id)
        scopes = locking.scopes_of(tx, collection)
        contents.append(
            CollectionContent(
                collection=collection,
                points=tuple(found),
                snapshot_only=frozenset(point.id for point in found if point.id in snapshot_only),
                locks=tuple(lock for lock in known if any(lock.scope.covers(scope) for scope in scopes)),
            )
        )
    return contents


def _find(content: CollectionContent, name: str) -> RestorePoint:
    for point in content.points:
        if point.name.casefold() == name.casefold():
            return point
    raise NotFound(f"There is no restore point {name!r} in {content.collection.name}.")


def _vault_of(tx: Transaction, collection: RestorePointCollection) -> UUID:
    """The vault that a collection's jobs belong to: that of the VM's active item, else of any."""
    known = sorted(items.of_machine(tx, collection.vm_uuid), key=lambda item: not item.is_active)
    if not known:
        raise NotFound(
            f"No vault knows the VM of {collection.name} any more. Attach its vault again: overwinter vault "
            "attach URL --key KEY"
        )
    return known[0].vault_id
