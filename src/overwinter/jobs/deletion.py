"""Backup data is deleted, had back, and in the end gone: whole items and single recovery points.

How long deleted data stays is decided by the vault (its rules and marks), and the catalog repeats what the
vault answered. So the order is always

1. an item is noted as deleted in the catalog: nothing restores from it any more
2. its points are deleted in the vault, one by one; each that is kept gets its mark with a date there
3. the catalog follows: rows of points that are gone go, the item gets the latest of the dates, or goes too

and a run after a crash does it all again: a mark that is there keeps its date.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from uuid import UUID

import structlog

from overwinter.catalog import items, points, upkeep, vaults
from overwinter.catalog import jobs as job_table
from overwinter.jobs import faults
from overwinter.jobs.runtime import Runtime
from overwinter.model.errors import NotFound, VaultCollectionInProgress
from overwinter.model.job import Job, JobError
from overwinter.model.point import RecoveryPoint
from overwinter.model.protection import ProtectedItem, ProtectionState, Vault
from overwinter.vault import VaultStore

log = structlog.get_logger(__name__)

#: Parameter of a job: until when its deletion shall be kept, ISO 8601; null for not at all.
UNTIL = "until"

#: Property of a job: how many recovery points it is about.
RECOVERY_POINTS = "recovery_points"


def open_ruled(runtime: Runtime, vault: Vault) -> VaultStore:
    """The store of a vault that something is to be deleted in; one made before there were rules gets them."""
    store = runtime.vaults.open(vault)
    if store.rules() is None:
        store.set_rules(vault.rules)
    return store


def delete_data(runtime: Runtime, job_id: UUID, check: Callable[[], None]) -> None:
    """Delete an item's recovery points; the item goes with the last of them.

    Can be cancelled before it begins only: half a deletion would be neither.
    """
    job, item = _job_and_item(runtime, job_id)
    if item is None:
        return
    check()
    until = _time(job.parameters.get(UNTIL))
    with runtime.catalog.transaction() as tx:
        item = replace(item, deleted_until=until)
        items.put(tx, item)
        vault = vaults.get_by_id(tx, item.vault_id)
        if RECOVERY_POINTS not in job.properties:
            job_table.set_properties(
                tx, job_id, {RECOVERY_POINTS: len(points.recovery_points_of(tx, item.id))}
            )
    faults.place("deletion.noted")
    store = open_ruled(runtime, vault)
    if delete_item(runtime, vault, store, item, until):
        _collect(runtime, vault, store)


def delete_item(
    runtime: Runtime, vault: Vault, store: VaultStore, item: ProtectedItem, until: datetime | None
) -> bool:
    """Delete an item's points in the vault, to be kept until a time; gives whether the item is gone, too.

    Raises VaultPointLocked, VaultImmutable.
    """
    with runtime.catalog.transaction() as tx:
        found = points.recovery_points_of(tx, item.id)
    kept = [date for point in found if (date := remove_point(runtime, vault, store, point, until))]
    faults.place("deletion.all-points")
    with runtime.catalog.transaction() as tx:
        if kept:
            items.put(tx, replace(item, deleted_until=max(kept)))
        else:
            items.delete(tx, item.id)
    faults.place("deletion.recorded")
    return not kept


def remove_point(
    runtime: Runtime, vault: Vault, store: VaultStore, point: RecoveryPoint, until: datetime | None
) -> datetime | None:
    """Delete one point in the vault, and its row when it is gone; gives until when it is kept, else null.

    Raises VaultPointLocked, VaultImmutable.
    """
    kept = None
    if point.manifest is not None:
        kept = store.delete_point(point.manifest, now=runtime.clock(), until=until)
        faults.place("deletion.point")
    if kept is None:
        with runtime.catalog.transaction() as tx:
            points.delete_recovery_point(tx, point)
            upkeep.note_removed(tx, vault.id, 1)
    return kept


def _collect(runtime: Runtime, vault: Vault, store: VaultStore) -> None:
    now = runtime.clock()
    try:
        store.collect(now=now)
    except VaultCollectionInProgress:
        log.info("space is freed later, another collection is at work", vault=vault.name)
        return
    with runtime.catalog.transaction() as tx:
        upkeep.note_collected(tx, vault.id, now)


def undelete(runtime: Runtime, job_id: UUID, check: Callable[[], None]) -> tuple[JobError, ...]:
    """Have an item back: stopped, with its data. Returns warnings of points that are gone all the same.

    Points that were deleted alone before stay deleted. Restores are possible when all is back.
    """
    job, item = _job_and_item(runtime, job_id)
    if item is None:
        raise NotFound(f"The backup data of {job.vm_name} is gone.")
    check()
    with runtime.catalog.transaction() as tx:
        vault = vaults.get_by_id(tx, item.vault_id)
        found = [each for each in points.recovery_points_of(tx, item.id) if each.deleted_until is None]
    store = runtime.vaults.open(vault)
    gone = []
    for point in found:
        if point.manifest is None:
            continue
        try:
            store.undelete_point(point.manifest, now=runtime.clock())
        except NotFound as error:
            gone.append(point)
            log.warning("a deleted recovery point is gone", point=point.id, reason=error.message)
        faults.place("undelete.point")
    with runtime.catalog.transaction() as tx:
        for point in gone:
            points.delete_recovery_point(tx, point)
        items.put(tx, replace(item, deleted_until=None, state=ProtectionState.STOPPED))
        job_table.set_properties(tx, job_id, {RECOVERY_POINTS: len(found) - len(gone)})
    faults.place("undelete.recorded")
    return tuple(
        JobError(NotFound.code, f"Recovery point {point.id} of {item.vm_name} could not be had back.")
        for point in gone
    )


def _job_and_item(runtime: Runtime, job_id: UUID) -> tuple[Job, ProtectedItem | None]:
    with runtime.catalog.transaction() as tx:
        job = job_table.get(tx, job_id)
        return job, None if job.item_id is None else items.find_by_id(tx, job.item_id)


def _time(parameter: object) -> datetime | None:
    return None if parameter is None else datetime.fromisoformat(str(parameter))
