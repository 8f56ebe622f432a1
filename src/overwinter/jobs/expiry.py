"""What time takes away from the vault tier: expired points, and deleted data whose days are over.

Part of the job CleanUp on a vault, by hand or from `upkeep`. Each part may be cut off anywhere and run again.
Points go in the vault first, then in the catalog, then their space is freed, at most once a day: a collection
walks all maps of the vault, whatever it finds.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from overwinter.catalog import items, points, upkeep
from overwinter.catalog import jobs as job_table
from overwinter.catalog.database import Transaction
from overwinter.jobs.deletion import delete_item, remove_point
from overwinter.jobs.runtime import Runtime
from overwinter.model.errors import NotFound, VaultImmutable, VaultPointLocked
from overwinter.model.expiry import expired_recovery_points
from overwinter.model.job import JobOperation, JobStatus
from overwinter.model.point import RecoveryPoint
from overwinter.model.protection import ProtectedItem, Vault
from overwinter.model.vault_rules import Immutability
from overwinter.vault import VaultStore

log = structlog.get_logger(__name__)

#: Space is freed, and locks are looked after, at most so often.
PERIOD = timedelta(days=1)

#: After a failure nothing is tried again for so long.
PAUSE = timedelta(hours=1)


def is_due(tx: Transaction, vault: Vault, now: datetime) -> bool:
    """Whether a vault needs its CleanUp now; asks the catalog only."""
    last = job_table.last_of(tx, vault.id, JobOperation.CLEAN_UP)
    if last is not None and last.status is JobStatus.FAILED and now - (last.ended or last.started) < PAUSE:
        return False
    if _may_collect(upkeep.of_vault(tx, vault.id), now):
        return True
    if vault.rules.immutability is Immutability.LOCKED and (last is None or now - last.started >= PERIOD):
        return True
    busy, candidates = _busy(tx), points.expired_or_due(tx, vault.id, now)
    return any(
        _item_is_due(item, now) or (item.id in candidates and _gone_by_now(tx, item, now))
        for item in items.every(tx, vault.id)
        if item.vm_uuid not in busy
    )


def run(
    runtime: Runtime, vault: Vault, store: VaultStore, check: Callable[[], None], *, collect: bool
) -> dict[str, object]:
    """Remove what has expired and what was deleted long enough ago, and free space when it is worthwhile.

    ``collect`` wants the space freed in any case. Gives what was done, for people.
    """
    _follow_deletions(runtime, vault, store)
    if vault.rules.immutability is Immutability.LOCKED:
        _keep_locks(runtime, vault, store, check)
    facts: dict[str, object] = {
        "points_expired": _remove_points(runtime, vault, store, check),
        "items_purged": _purge_items(runtime, vault, store, check),
    }
    now = runtime.clock()
    with runtime.catalog.transaction() as tx:
        worthwhile = _may_collect(upkeep.of_vault(tx, vault.id), now)
    if collect or worthwhile:
        check()
        facts.update(vars(store.collect(now=now, cancelled=check)))
        with runtime.catalog.transaction() as tx:
            upkeep.note_collected(tx, vault.id, now)
    return facts


def _may_collect(account: upkeep.Upkeep, now: datetime) -> bool:
    if account.removed_points == 0:
        return False
    return account.collected is None or now - account.collected >= PERIOD


def _busy(tx: Transaction) -> set[UUID]:
    """VMs and vaults with a job: what a restore reads, or another deletion works on, is left for later."""
    return {job.vm_uuid for job in job_table.active(tx)}


def _item_is_due(item: ProtectedItem, now: datetime) -> bool:
    return item.deleted_until is not None and item.deleted_until <= now


def _gone_by_now(tx: Transaction, item: ProtectedItem, now: datetime) -> list[RecoveryPoint]:
    """The points of an item that go, for one of two reasons."""
    if item.is_deleted:
        return []
    found = points.recovery_points_of(tx, item.id)
    expired = expired_recovery_points(found, now=now) if item.points_expire else []
    return expired + [each for each in found if each.deleted_until is not None and each.deleted_until <= now]


def _remove_points(runtime: Runtime, vault: Vault, store: VaultStore, check: Callable[[], None]) -> int:
    now = runtime.clock()
    with runtime.catalog.transaction() as tx:
        candidates = points.expired_or_due(tx, vault.id, now)
    removed = 0
    for item_id in candidates:
        with runtime.catalog.transaction() as tx:
            item = items.find_by_id(tx, item_id)
            if item is None or item.vm_uuid in _busy(tx):
                continue
            going = _gone_by_now(tx, item, now)
        for point in going:
            check()
            removed += _remove(runtime, vault, store, point)
    return removed


def _remove(runtime: Runtime, vault: Vault, store: VaultStore, point: RecoveryPoint) -> bool:
    """Remove one point; the catalog learns when the vault knows better. Gives whether it is gone."""
    try:
        kept = remove_point(runtime, vault, store, point, None)
    except (VaultPointLocked, VaultImmutable) as error:
        log.warning("a recovery point that should go is kept by its vault", reason=error.message)
        changed = replace(point, expires=_earliest_end(store, point))
    else:
        if kept is None:
            return True
        changed = replace(point, deleted_until=kept)
    with runtime.catalog.transaction() as tx:
        points.put_recovery_point(tx, changed)
    return False


def _earliest_end(store: VaultStore, point: RecoveryPoint) -> datetime | None:
    """When a point that the vault does not let go may go, as the vault says."""
    assert point.manifest is not None, "only the vault refuses"
    dates = [store.manifest(point.manifest).expires, store.locked_points().get(point.manifest)]
    return max((date for date in dates if date is not None), default=None)


def _purge_items(runtime: Runtime, vault: Vault, store: VaultStore, check: Callable[[], None]) -> int:
    purged = 0
    with runtime.catalog.transaction() as tx:
        due = [item for item in items.every(tx, vault.id) if _item_is_due(item, runtime.clock())]
        busy = _busy(tx)
    for item in due:
        if item.vm_uuid not in busy:
            check()
            purged += delete_item(runtime, vault, store, item, None)
    return purged


def _follow_deletions(runtime: Runtime, vault: Vault, store: VaultStore) -> None:
    """Points that the vault has as deleted become so in the catalog: another host may have done it."""
    deleted = {each.manifest.point_id: each.until for each in store.readable_deleted_points()}
    with runtime.catalog.transaction() as tx:
        whole = {item.id for item in items.every(tx, vault.id) if item.is_deleted}
        for point in points.recovery_points_in(tx, vault.id):
            until = deleted.get(point.manifest or "")
            if until is not None and point.item_id not in whole and point.deleted_until is None:
                points.put_recovery_point(tx, replace(point, deleted_until=until))


def _keep_locks(runtime: Runtime, vault: Vault, store: VaultStore, check: Callable[[], None]) -> None:
    """Every point of a vault with locked immutability is locked until it expires."""
    now = runtime.clock()
    locked = store.locked_points()
    with runtime.catalog.transaction() as tx:
        found = points.recovery_points_in(tx, vault.id)
    for point in found:
        if point.manifest is None or point.expires is None or point.expires <= now:
            continue
        if locked.get(point.manifest, now) < point.expires:
            check()
            lock_point(store, point.manifest, point.expires)


def lock_point(store: VaultStore, manifest: str, until: datetime) -> None:
    """Lock a point of a vault whose immutability is locked; a deleted one goes at its date."""
    try:
        store.lock_point(manifest, until)
    except NotFound as error:
        log.info("a recovery point is not locked", reason=error.message)
