"""Policies as commands show them; the shapes of ``--json``."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Self

from overwinter.cli.policy_words import days_text, schedule_text
from overwinter.cli.views import NOT_SHOWN, Arm
from overwinter.model.long_term import UNITS
from overwinter.model.policy import MAX_RESTORE_POINTS, PolicyContent
from overwinter.model.policy_reading import content_of
from overwinter.model.preview import Preview, restore_points_wanted
from overwinter.model.schedule import next_run


@dataclass(frozen=True)
class RuleView:
    """Points of some days are kept so long in the vault."""

    rule: str
    count: int
    unit: str
    days: str


@dataclass(frozen=True)
class PolicyView:
    """A policy; ``protected_items`` counts the items bound to it. ``content`` is not shown, its words are."""

    address: str
    name: str
    vault: str
    type: str
    schedule: str
    time_zone: str
    next_run: datetime
    instant_retention_days: int
    retention: tuple[RuleView, ...]
    crash_consistent_only: bool
    required_consistency: str
    without_agent: str
    retries: int
    bandwidth_limit: int | None
    backup_window: str | None
    automatic_repair: bool
    protected_items: int
    content: PolicyContent = field(metadata=NOT_SHOWN)

    @classmethod
    def read(cls, arm: Arm) -> Self:
        """From a backup policy."""
        content = content_of(arm["properties"])
        extension, window = content.extension, content.extension.backup_window
        return cls(
            address=arm["id"],
            name=arm["name"],
            vault=arm["id"].split("/")[8],
            type=content.type,
            schedule=schedule_text(content.schedule),
            time_zone=content.time_zone,
            next_run=next_run(content.schedule, content.zone, datetime.now(UTC)),
            instant_retention_days=content.instant_days,
            retention=tuple(
                RuleView(rule.name, rule.count, UNITS[rule.name].lower(), days_text(rule.days))
                for rule in content.rules
            ),
            crash_consistent_only=content.crash_consistent_only,
            required_consistency=extension.required_consistency,
            without_agent=extension.without_agent,
            retries=extension.retries,
            bandwidth_limit=extension.bandwidth_limit,
            backup_window=None if window is None else f"{window.start:%H:%M}-{window.end:%H:%M}",
            automatic_repair=extension.automatic_repair,
            protected_items=arm["properties"]["protectedItemsCount"],
            content=content,
        )


@dataclass(frozen=True)
class PreviewedPointView:
    """One backup of a preview; ``leaves_host`` is null when that is later than what was looked at."""

    made: datetime
    rule: str
    expires: datetime
    leaves_host: datetime | None


@dataclass(frozen=True)
class PreviewedDayView:
    """What there is at the end of a day; the vault's points are counted by rule."""

    day: str
    on_host: int
    in_vault: dict[str, int]


@dataclass(frozen=True)
class PreviewView:
    """What a policy would do. ``too_many`` lists the backups for which the host has no room left."""

    policy: str
    vault: str
    first_day: str
    days: tuple[PreviewedDayView, ...]
    points: tuple[PreviewedPointView, ...]
    most_restore_points: int
    restore_point_limit: int
    too_many: tuple[datetime, ...]
    warnings: tuple[str, ...]

    @classmethod
    def of(cls, policy: PolicyView, seen: Preview) -> Self:
        """From the model's preview of that policy."""
        return cls(
            policy=policy.name,
            vault=policy.vault,
            first_day=seen.days[0].day.isoformat(),
            days=tuple(
                PreviewedDayView(
                    each.day.isoformat(),
                    each.on_host,
                    {str(rule): count for rule, count in each.in_vault.items()},
                )
                for each in seen.days
            ),
            points=tuple(
                PreviewedPointView(each.made, each.kept.rule, each.kept.until, each.leaves_host)
                for each in seen.points
            ),
            most_restore_points=seen.most_on_host,
            restore_point_limit=MAX_RESTORE_POINTS,
            too_many=seen.crowded,
            warnings=tuple(_warnings(seen)),
        )


def _warnings(seen: Preview) -> list[str]:
    if not seen.crowded:
        return []
    moments = [point.made for point in seen.points]
    first: date = seen.crowded[0].astimezone(seen.policy.zone).date()
    fitting = [
        days
        for days in range(1, seen.policy.instant_days)
        if max(restore_points_wanted(moments, days)) <= MAX_RESTORE_POINTS
    ]
    advice = (
        f"keep them {max(fitting)} days on the host, or back up less often"
        if fitting
        else "back up less often"
    )
    return [
        f"From {first} on this policy wants up to {seen.most_on_host} restore points at once, and a VM can "
        f"have {MAX_RESTORE_POINTS}. The oldest then leave the host early, once the vault has them; while it "
        f"lacks them, backups fail with UserErrorRpCollectionLimitReached. Better {advice}."
    ]
