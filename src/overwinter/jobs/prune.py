"""Which restore points (snapshot tier) go, and how: the clean-up that comes with a backup, and the rules of
all clean-up.

First the rows of points that have expired, oldest first, then the overlays that no point needs any more
(`merging`). Both may stop anywhere and be begun again. The newest point always stays, and so does every point
that a lock holds, with all newer ones: chains get shorter from below only.
"""

from collections.abc import Callable

from overwinter.catalog import points
from overwinter.catalog.database import Transaction
from overwinter.jobs import locking, merging
from overwinter.jobs.runtime import Runtime
from overwinter.model.errors import ScopeLocked
from overwinter.model.job import JobError
from overwinter.model.lock import Lock
from overwinter.model.point import RecoveryPoint, RestorePoint
from overwinter.model.policy import MAX_RESTORE_POINTS, Policy
from overwinter.model.protection import ProtectedItem
from overwinter.model.retention import expired_restore_points

#: With so many restore points a lock that stops clean-up becomes a warning of each backup.
NEAR_THE_LIMIT = MAX_RESTORE_POINTS - 3


def expire(
    runtime: Runtime, item: ProtectedItem, policy: Policy, check: Callable[[], None] = lambda: None
) -> tuple[JobError, ...]:
    """Remove the item's expired restore points and shorten its chains accordingly.

    Returns a warning for each point that goes with its snapshot because it never reached the vault, and one
    when a lock keeps so many points that backups will soon be refused. ``check`` is called between steps and
    may raise to stop; the next run goes on from there.
    """
    warnings: list[JobError] = []
    with runtime.catalog.transaction() as tx:
        doomed, lock = removable(tx, runtime, item, policy)
        for point in doomed:
            found = points.recovery_point_of(tx, point.id)
            if found is not None and found.manifest is None:
                warnings.append(_lost_with_snapshot(found))
            points.delete_restore_point(tx, point.id)
        locking.remove_empty_collections(tx, item.vm_uuid)
        count = len(points.restore_points_of(tx, item.vm_uuid))
    if lock is not None and count >= NEAR_THE_LIMIT:
        message = (
            f"{item.vm_name} has {count} of {MAX_RESTORE_POINTS} restore points, and lock {lock.name} on "
            f"{lock.scope} stops their clean-up. At the limit backups fail."
        )
        warnings.append(JobError(ScopeLocked.code, message))
    merging.merge_unneeded(runtime, item.vm_uuid, check)
    return tuple(warnings)


def removable(
    tx: Transaction, runtime: Runtime, item: ProtectedItem, policy: Policy
) -> tuple[list[RestorePoint], Lock | None]:
    """The expired points that may go, oldest first, and the lock that keeps the next one, if one does."""
    existing = points.restore_points_of(tx, item.vm_uuid)
    transferred = {
        point.id
        for point in existing
        if (found := points.recovery_point_of(tx, point.id)) is None or found.manifest is not None
    }
    profile = runtime.settings.profile
    expired = expired_restore_points(
        existing,
        now=runtime.clock(),
        days=profile.kept_days(policy),
        limit=MAX_RESTORE_POINTS if profile.makes_room else None,
        in_vault=lambda point: point.id in transferred,
    )
    held = locking.held_points(tx, item.vm_uuid)
    for index, point in enumerate(expired):
        if point.id in held:
            return expired[:index], held[point.id]
    return expired, None


def _lost_with_snapshot(point: RecoveryPoint) -> JobError:
    """The warning that a recovery point is gone because only its snapshot held it."""
    message = (
        f"Recovery point {point.id} of {point.created:%Y-%m-%d %H:%M} UTC was never transferred to the "
        "vault; it went with the VM's snapshots."
    )
    return JobError("RecoveryPointSnapshotOnly", message)
