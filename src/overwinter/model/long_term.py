"""How long the vault keeps recovery points: daily, weekly, monthly and yearly rules over scheduled days."""

import calendar
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from overwinter.model.calendar_words import Month, Weekday, WeekOfMonth


class RuleName(StrEnum):
    """The rule that keeps a recovery point, in the words of the ARM API; ``InstantRestore`` is ours.

    ``InstantRestore`` is that of a point which no rule of the vault wants: it stays as long as snapshots do.
    """

    DAILY = "Daily"
    WEEKLY = "Weekly"
    MONTHLY = "Monthly"
    YEARLY = "Yearly"
    INSTANT = "InstantRestore"


class Unit(StrEnum):
    """What a retention is counted in, in the words of the ARM API."""

    DAYS = "Days"
    WEEKS = "Weeks"
    MONTHS = "Months"
    YEARS = "Years"


#: What each rule is counted in.
UNITS = {
    RuleName.DAILY: Unit.DAYS,
    RuleName.WEEKLY: Unit.WEEKS,
    RuleName.MONTHLY: Unit.MONTHS,
    RuleName.YEARLY: Unit.YEARS,
}

#: The most a rule may keep: 99 years, and 9999 days (reference articles).
MOST = {
    RuleName.DAILY: 9999,
    RuleName.WEEKLY: 5163,
    RuleName.MONTHLY: 1188,
    RuleName.YEARLY: 99,
}

#: The last day of the month that can be named by its number; later ones not every month has.
LAST_NUMBERED_DAY = 28


@dataclass(frozen=True)
class EveryDay:
    """All days."""

    def has(self, day: date) -> bool:  # noqa: ARG002
        """Whether the day is one of them."""
        return True


@dataclass(frozen=True)
class OnWeekdays:
    """Some days of every week."""

    weekdays: frozenset[Weekday]

    def has(self, day: date) -> bool:
        """Whether the day is one of them."""
        return Weekday(day.weekday()) in self.weekdays


@dataclass(frozen=True)
class DaysOfMonth:
    """Days of a month by number, 1 to 28, and perhaps the last one (ARM's format ``Daily``)."""

    days: frozenset[int]
    last: bool = False

    def has(self, day: date) -> bool:
        """Whether the day is one of them."""
        return day.day in self.days or (self.last and (day + timedelta(days=1)).day == 1)


@dataclass(frozen=True)
class WeekdaysOfMonth:
    """Weekdays in some weeks of a month, as the second Sunday (ARM's format ``Weekly``)."""

    weekdays: frozenset[Weekday]
    weeks: frozenset[WeekOfMonth]

    def has(self, day: date) -> bool:
        """Whether the day is one of them."""
        if Weekday(day.weekday()) not in self.weekdays:
            return False
        is_last = (day + timedelta(days=7)).month != day.month
        number = (day.day - 1) // 7 + 1
        return (is_last and WeekOfMonth.LAST in self.weeks) or (
            number <= WeekOfMonth.FOURTH and WeekOfMonth(number) in self.weeks
        )


MonthDays = DaysOfMonth | WeekdaysOfMonth


@dataclass(frozen=True)
class InMonths:
    """Days of some months of the year."""

    months: frozenset[Month]
    days: MonthDays

    def has(self, day: date) -> bool:
        """Whether the day is one of them."""
        return Month(day.month) in self.months and self.days.has(day)


Days = EveryDay | OnWeekdays | DaysOfMonth | WeekdaysOfMonth | InMonths


@dataclass(frozen=True)
class Rule:
    """Recovery points of some days are kept for ``count`` days, weeks, months or years."""

    name: RuleName
    count: int
    days: Days

    def end(self, scheduled: datetime) -> datetime:
        """When a point that was due at ``scheduled`` expires; both are local times without a zone."""
        unit = UNITS[self.name]
        if unit is Unit.DAYS:
            return scheduled + timedelta(days=self.count)
        if unit is Unit.WEEKS:
            return scheduled + timedelta(weeks=self.count)
        return months_later(scheduled, self.count * (12 if unit is Unit.YEARS else 1))


def months_later(moment: datetime, months: int) -> datetime:
    """The same day of a later month, or that month's last where it is shorter."""
    year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    day = min(moment.day, calendar.monthrange(year, month + 1)[1])
    return moment.replace(year=year, month=month + 1, day=day)


def longest(rules: Iterable[Rule], scheduled: datetime) -> tuple[Rule, datetime] | None:
    """The rule that keeps a point longest, and until when; None when no rule wants it.

    What counts is the day for which the point was scheduled, not when it was made. Times are local.
    """
    ends = [(rule, rule.end(scheduled)) for rule in rules if rule.days.has(scheduled.date())]
    return max(ends, key=lambda pair: pair[1], default=None)
