"""How fast a vault grows, and when its storage will be full. Pure.

The trend is Theil and Sen's: the median of the slopes between any two points, so that a few large backups
count little (Sen, "Estimates of the regression coefficient based on Kendall's tau", 1968).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

#: Points the trend is taken from, the newest ones; fewer than the least tell nothing.
_MOST_POINTS = 300
_LEAST_POINTS = 3

_DAY = timedelta(days=1)

#: Beyond this nobody plans.
_HORIZON_DAYS = 36_500


@dataclass(frozen=True)
class Stored:
    """What one recovery point has added: stored bytes that no point before it needed."""

    created: datetime
    new_bytes: int


@dataclass(frozen=True)
class Growth:
    """A trend in stored bytes per day, from how many points, and when the storage is full by it.

    ``full`` is null when the vault does not grow, the room is unknown, or a century is left.
    """

    bytes_per_day: float
    points: int
    full: datetime | None


def growth(points: Sequence[Stored], *, now: datetime, free_bytes: int | None = None) -> Growth | None:
    """The trend of points in any order; null with fewer than three, or all of one time.

    What deleted points had added is not seen any more, so this is growth beside retention. ``free_bytes`` is
    the room left at ``now``, null where there is no bound.
    """
    newest = sorted(points, key=lambda point: point.created)[-_MOST_POINTS:]
    if len(newest) < _LEAST_POINTS:
        return None
    days = np.array([(point.created - newest[0].created) / _DAY for point in newest])
    stored = np.cumsum([point.new_bytes for point in newest], dtype=np.float64)
    earlier, later = np.triu_indices(len(newest), 1)
    apart = days[later] > days[earlier]
    if not apart.any():
        return None
    earlier, later = earlier[apart], later[apart]
    slope = float(np.median((stored[later] - stored[earlier]) / (days[later] - days[earlier])))
    full = None
    if free_bytes is not None and slope > 0 and free_bytes / slope < _HORIZON_DAYS:
        full = now + free_bytes / slope * _DAY
    return Growth(slope, len(newest), full)
