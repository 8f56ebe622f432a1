"""From the options of a command to the policy they ask for: what is not named stays as it was."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import time

from overwinter.cli import policy_words as words
from overwinter.model.calendar_words import Month, Weekday, WeekOfMonth
from overwinter.model.extension import BackupWindow, Extension, WithoutAgent
from overwinter.model.long_term import (
    Days,
    EveryDay,
    InMonths,
    OnWeekdays,
    Rule,
    RuleName,
    WeekdaysOfMonth,
)
from overwinter.model.point import Consistency
from overwinter.model.policy import PolicyContent, PolicyType
from overwinter.model.policy_rules import default_instant_days
from overwinter.model.schedule import DailySchedule, HourlySchedule, Schedule, WeeklySchedule

#: What ``--on`` takes for a daily schedule.
EVERY_DAY = "every-day"

#: What switches a limit off.
NONE = "none"

#: How long points stay in the vault when nobody says: days under a daily, weeks under a weekly schedule.
DEFAULT_DAYS = 30
DEFAULT_WEEKS = 12


@dataclass(frozen=True)
class Asked:
    """Options as people write them; null where nothing was said. A count of 0 takes a rule away."""

    enhanced: bool = False
    time_zone: str | None = None
    at: str | None = None
    on: str | None = None
    every: int | None = None
    hours: int | None = None
    instant_days: int | None = None
    daily: int | None = None
    weekly: int | None = None
    weekly_on: str | None = None
    monthly: int | None = None
    monthly_on: str | None = None
    yearly: int | None = None
    yearly_on: str | None = None
    crash_consistent_only: bool | None = None
    required_consistency: Consistency | None = None
    without_agent: WithoutAgent | None = None
    retries: int | None = None
    bandwidth_limit: str | None = None
    backup_window: str | None = None
    automatic_repair: bool | None = None


def changed(before: PolicyContent, asked: Asked) -> PolicyContent:
    """The policy with what was asked. Raises ValueError for words without meaning."""
    schedule = _schedule(before.schedule, asked)
    kind = before.type
    if asked.enhanced or isinstance(schedule, HourlySchedule):
        kind = PolicyType.V2
    instant_days = before.instant_days
    if (kind, schedule.frequency) != (before.type, before.schedule.frequency):
        instant_days = default_instant_days(kind, schedule)
    crash_only = asked.crash_consistent_only
    return replace(
        before,
        type=kind,
        time_zone=asked.time_zone or before.time_zone,
        schedule=schedule,
        instant_days=instant_days if asked.instant_days is None else asked.instant_days,
        rules=_rules(before, schedule, asked),
        crash_consistent_only=before.crash_consistent_only if crash_only is None else crash_only,
        extension=_extension(before.extension, asked),
    )


def _schedule(before: Schedule, asked: Asked) -> Schedule:
    at = None if asked.at is None else words.read_time(asked.at)
    if asked.every is not None or (isinstance(before, HourlySchedule) and asked.on is None):
        known = before if isinstance(before, HourlySchedule) else HourlySchedule(4, time(8), 24)
        return HourlySchedule(
            interval=asked.every or known.interval,
            start=at or known.start,
            duration=asked.hours or known.duration,
        )
    if asked.hours is not None:
        raise ValueError("belongs to --every: only an hourly schedule has a window.")
    at = at or before.times_of_day[0]
    if asked.on is None:
        return WeeklySchedule(before.days, at) if isinstance(before, WeeklySchedule) else DailySchedule(at)
    if asked.on.casefold() == EVERY_DAY:
        return DailySchedule(at)
    return WeeklySchedule(words.read_weekdays(asked.on), at)


def _rules(before: PolicyContent, schedule: Schedule, asked: Asked) -> tuple[Rule, ...]:
    """A weekly schedule has no daily rule and needs a weekly one; the others need a daily one."""
    known = {rule.name: rule for rule in before.rules}
    daily, weekly = asked.daily, asked.weekly
    if isinstance(schedule, WeeklySchedule):
        known.pop(RuleName.DAILY, None)
        if RuleName.WEEKLY not in known and weekly is None:
            weekly = DEFAULT_WEEKS
    elif RuleName.DAILY not in known and daily is None:
        daily = DEFAULT_DAYS
    usual = schedule.days if isinstance(schedule, WeeklySchedule) else frozenset({Weekday.SUNDAY})
    first = WeekdaysOfMonth(usual, frozenset({WeekOfMonth.FIRST}))
    wanted = [
        _Wanted(RuleName.DAILY, daily, None, _weekly, EveryDay()),
        _Wanted(RuleName.WEEKLY, weekly, asked.weekly_on, _weekly, OnWeekdays(usual)),
        _Wanted(RuleName.MONTHLY, asked.monthly, asked.monthly_on, words.read_month_days, first),
        _Wanted(
            RuleName.YEARLY,
            asked.yearly,
            asked.yearly_on,
            words.read_year_days,
            InMonths(frozenset({Month.JANUARY}), first),
        ),
    ]
    rules = [each.rule(known.get(each.name)) for each in wanted]
    return tuple(rule for rule in rules if rule is not None)


def _weekly(text: str) -> OnWeekdays:
    return OnWeekdays(words.read_weekdays(text))


@dataclass(frozen=True)
class _Wanted:
    """What options say of one rule; ``usual`` are its days when nobody ever said."""

    name: RuleName
    count: int | None
    on: str | None
    read: Callable[[str], Days]
    usual: Days

    def rule(self, known: Rule | None) -> Rule | None:
        """The rule as it was, with what was asked."""
        count = known.count if self.count is None and known is not None else self.count
        if self.on is not None and not count:
            raise ValueError(f"--{self.name.lower()}-on needs --{self.name.lower()} COUNT.")
        if not count:
            return None
        if self.on is not None:
            return Rule(self.name, count, self.read(self.on))
        return Rule(self.name, count, self.usual if known is None else known.days)


def _extension(before: Extension, asked: Asked) -> Extension:
    limit, window, repair = before.bandwidth_limit, before.backup_window, asked.automatic_repair
    if asked.bandwidth_limit is not None:
        limit = None if asked.bandwidth_limit == NONE else words.read_rate(asked.bandwidth_limit)
    if asked.backup_window is not None:
        window = (
            None if asked.backup_window == NONE else BackupWindow(*words.read_window(asked.backup_window))
        )
    return Extension(
        required_consistency=asked.required_consistency or before.required_consistency,
        without_agent=asked.without_agent or before.without_agent,
        retries=before.retries if asked.retries is None else asked.retries,
        bandwidth_limit=limit,
        backup_window=window,
        automatic_repair=before.automatic_repair if repair is None else repair,
    )
