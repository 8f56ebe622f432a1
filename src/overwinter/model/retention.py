"""Which points are kept and which have expired. Pure rules over points and a time."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from overwinter.model.point import RestorePoint


def expired_restore_points(
    points: Sequence[RestorePoint],
    *,
    now: datetime,
    days: int,
    limit: int | None,
    in_vault: Callable[[RestorePoint], bool],
) -> list[RestorePoint]:
    """The restore points (snapshot tier) to clean up, oldest first; the newest is always kept.

    A point expires after ``days``, once the vault holds it or a newer one. Beyond that, where there is a
    ``limit``, the oldest points make room, so that at most ``limit`` - 1 remain and a new one fits, but only
    points that the vault holds too. Chains can only be shortened from the bottom, so the result is always the
    oldest points without a gap.
    """
    ordered = sorted(points, key=lambda point: point.created)
    expired: list[RestorePoint] = []
    for index, point in enumerate(ordered[:-1]):
        superseded = any(in_vault(newer) for newer in ordered[index:])
        too_old = now - point.created > timedelta(days=days) and superseded
        too_many = limit is not None and len(ordered) - len(expired) >= limit
        if not (too_old or (too_many and in_vault(point))):
            break
        expired.append(point)
    return expired
