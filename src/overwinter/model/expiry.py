"""When recovery points expire, by which rule of their policy, and which of them have. Pure rules."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from overwinter.model.long_term import RuleName, longest
from overwinter.model.point import RecoveryPoint
from overwinter.model.policy import PolicyContent
from overwinter.model.timezone import local_of, moment_of

#: How long a point that somebody asked for is kept when the request does not say (reference articles).
ON_DEMAND_DAYS = 30


@dataclass(frozen=True)
class Kept:
    """Until when a recovery point is kept, and by which rule."""

    rule: RuleName
    until: datetime


def kept(policy: PolicyContent, scheduled: Iterable[datetime]) -> dict[datetime, Kept]:
    """For the points of one item, by the moments for which they were scheduled, what the policy gives them.

    The day counts for which a point was scheduled, in the policy's zone. Of the points of one day the rules
    of the vault want the last; the others stay as long as snapshots do.
    """
    zone = policy.zone
    local = {moment: local_of(moment, zone) for moment in sorted(scheduled)}
    last_of_day = {time.date(): moment for moment, time in local.items()}
    found = {}
    for moment, time in local.items():
        wanted = longest(policy.rules, time) if last_of_day[time.date()] == moment else None
        if wanted is None:
            end = time + timedelta(days=policy.instant_days)
            found[moment] = Kept(RuleName.INSTANT, moment_of(end, zone))
        else:
            found[moment] = Kept(wanted[0].name, moment_of(wanted[1], zone))
    return found


def under_policy(points: Sequence[RecoveryPoint], policy: PolicyContent) -> list[RecoveryPoint]:
    """An item's recovery points with the expiry and the rule that the policy gives them.

    A point that somebody asked for keeps the expiry it was made with, whatever the policy.
    """
    found = kept(policy, (point.scheduled for point in points if point.scheduled is not None))
    return [
        point
        if point.scheduled is None
        else replace(point, expires=found[point.scheduled].until, rule=found[point.scheduled].rule)
        for point in points
    ]


def expired_recovery_points(points: Sequence[RecoveryPoint], *, now: datetime) -> list[RecoveryPoint]:
    """The points of one item that the vault shall delete, oldest first.

    Never the newest point, nor the newest that the vault holds: an item whose backups have stopped keeps
    what it has. A point whose snapshot still exists is not due yet (the snapshot goes first), nor is one
    without an expiry. Points that are deleted already count as gone: they go at their own date.
    """
    living = [point for point in points if point.deleted_until is None]
    ordered = sorted(living, key=lambda point: (point.created, point.id))
    in_vault = [point for point in ordered if point.manifest is not None]
    staying = {point.id for point in (*ordered[-1:], *in_vault[-1:])}
    return [
        point
        for point in in_vault
        if point.restore_point is None
        and point.expires is not None
        and point.expires <= now
        and point.id not in staying
    ]
