"""What a policy would do: which points it makes, and how long each is on the host and in the vault."""

from collections import Counter
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

    def end(self, zone: ZoneInfo) -> datetime:
        """The moment at which the day is over."""
        return moment_of(datetime.combine(self.day + timedelta(days=1), time()), zone)


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
    end = moment_of(datetime.combine(listed[-1] + timedelta(days=1), time()), zone)
    moments = [moment for moment in runs(policy.schedule, zone, start, end) if moment < end]
    keeping = kept(policy, moments)
    leaving = _leaving(moments, timedelta(days=policy.instant_days))
    points = tuple(PreviewedPoint(moment, leaving.get(moment), keeping[moment]) for moment in moments)
    wanted = restore_points_wanted(moments, policy.instant_days)
    return Preview(
        policy=policy,
        points=points,
        days=tuple(_day(policy, points, day) for day in listed),
        most_on_host=max(wanted, default=0),
        crowded=tuple(
            moment for moment, count in zip(moments, wanted, strict=True) if count > MAX_RESTORE_POINTS
        ),
    )


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


def _day(policy: PolicyContent, points: tuple[PreviewedPoint, ...], day: date) -> PreviewedDay:
    end = moment_of(datetime.combine(day + timedelta(days=1), time()), policy.zone)
    made = [point for point in points if point.made < end]
    newest = made[-1:]
    return PreviewedDay(
        day=day,
        on_host=sum(point.leaves_host is None or point.leaves_host >= end for point in made),
        in_vault=dict(Counter(p.kept.rule for p in made if p.kept.until >= end or p in newest)),
    )
