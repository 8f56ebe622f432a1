"""What a policy would do: which points it makes, and how long each is on the host and in the vault."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from overwinter.model.expiry import Kept, kept
from overwinter.model.long_term import RuleName
from overwinter.model.policy import MAX_RESTORE_POINTS, PolicyContent
from overwinter.model.schedule import runs
from overwinter.model.timezone import local_of, moment_of


@dataclass(frozen=True)
class PreviewedPoint:
    """One backup: when it runs, when its snapshot is cleaned up (null: not in the time looked at), its rule.

    ``kept`` says until when the vault has it. The newest point stays, whatever its times say.
    """

    made: datetime
    leaves_host: datetime | None
    kept: Kept


@dataclass(frozen=True)
class PreviewedDay:
    """What exists at the end of a local day: restore points on the host, recovery points by their rules."""

    day: date
    on_host: int
    in_vault: dict[RuleName, int]


@dataclass(frozen=True)
class Preview:
    """What a policy would do to one VM whose backups all succeed.

    ``crowded`` lists the backups at which more restore points would be wanted than a VM can have.
    """

    policy: PolicyContent
    points: tuple[PreviewedPoint, ...]
    days: tuple[PreviewedDay, ...]
    most_on_host: int
    crowded: tuple[datetime, ...]


def preview(policy: PolicyContent, start: datetime, days: int) -> Preview:
    """Look ``days`` local days ahead, the day of ``start`` being the first."""
    zone = policy.zone
    first = local_of(start, zone).date()
    listed = [first + timedelta(days=number) for number in range(days)]
    end = end_of(listed[-1], zone)
    moments = [moment for moment in runs(policy.schedule, zone, start, end) if moment < end]
    keeping = kept(policy, moments)
    leaving = _leaving(moments, timedelta(days=policy.instant_days))
    points = tuple(PreviewedPoint(moment, leaving.get(moment), keeping[moment]) for moment in moments)
    wanted = restore_points_wanted(moments, policy.instant_days)
    return Preview(
        policy=policy,
        points=points,
        days=tuple(_days(policy, points, listed)),
        most_on_host=max(wanted, default=0),
        crowded=tuple(
            moment for moment, count in zip(moments, wanted, strict=True) if count > MAX_RESTORE_POINTS
        ),
    )


def end_of(day: date, zone: ZoneInfo) -> datetime:
    """The moment at which a local day is over."""
    return moment_of(datetime.combine(day + timedelta(days=1), time()), zone)


def restore_points_wanted(moments: list[datetime], instant_days: int) -> list[int]:
    """How many restore points there are after each backup, when each stays its days. ``moments`` ascend."""
    age = timedelta(days=instant_days)
    counts, oldest = [], 0
    for newest, moment in enumerate(moments):
        while moment - moments[oldest] > age:
            oldest += 1
        counts.append(newest - oldest + 1)
    return counts


def _leaving(moments: list[datetime], age: timedelta) -> dict[datetime, datetime]:
    """When each point's snapshot goes: clean-up comes with the backups, and the newest is not touched."""
    found: dict[datetime, datetime] = {}
    oldest = 0
    for moment in moments:
        while moment - moments[oldest] > age:
            found[moments[oldest]] = moment
            oldest += 1
    return found


def _days(
    policy: PolicyContent, points: Sequence[PreviewedPoint], days: Sequence[date]
) -> list[PreviewedDay]:
    """What there is at each day's end; goes once through the points in the order they come and go."""
    left = sorted(point.leaves_host for point in points if point.leaves_host is not None)
    expiring = sorted(points, key=lambda point: point.kept.until)
    in_vault: Counter[RuleName] = Counter()
    made = gone = expired = 0
    found = []
    for day in days:
        end = end_of(day, policy.zone)
        while made < len(points) and points[made].made < end:
            in_vault[points[made].kept.rule] += 1
            made += 1
        while gone < len(left) and left[gone] < end:
            gone += 1
        while expired < len(expiring) and expiring[expired].kept.until <= end:
            in_vault[expiring[expired].kept.rule] -= 1
            expired += 1
        newest = [point.kept.rule for point in points[made - 1 : made] if point.kept.until <= end]
        found.append(PreviewedDay(day, made - gone, dict(+in_vault + Counter(newest))))
    return found
