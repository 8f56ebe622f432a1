"""How commands write the calendar of policies, and how people write it to them: each way the same words."""

from collections.abc import Iterable
from datetime import datetime, time
from typing import TypeVar

from overwinter.model.calendar_words import CalendarWord, Month, Weekday, WeekOfMonth
from overwinter.model.long_term import (
    UNITS,
    Days,
    DaysOfMonth,
    EveryDay,
    InMonths,
    MonthDays,
    OnWeekdays,
    Rule,
    WeekdaysOfMonth,
)
from overwinter.model.schedule import HourlySchedule, Schedule, WeeklySchedule

Word = TypeVar("Word", Weekday, Month, WeekOfMonth)

_LAST = "last"

_RATES = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def schedule_text(schedule: Schedule) -> str:
    """``daily at 02:30``."""
    at = f"{schedule.times_of_day[0]:%H:%M}"
    if isinstance(schedule, HourlySchedule):
        return f"every {schedule.interval} hours from {at} on, for {schedule.duration} hours"
    if isinstance(schedule, WeeklySchedule):
        return f"every {weekdays_text(schedule.days)} at {at}"
    return f"daily at {at}"


def rule_text(rule: Rule) -> str:
    """``12 weeks: Sunday``; of rules that want every day only how long."""
    unit = UNITS[rule.name].lower()
    length = f"{rule.count} {unit if rule.count != 1 else unit[:-1]}"
    return length if isinstance(rule.days, EveryDay) else f"{length}: {days_text(rule.days)}"


def days_text(days: Days) -> str:
    """``every day``, ``Sunday``, ``1,15,last``, ``first,third Sunday``, ``January last Sunday``."""
    if isinstance(days, EveryDay):
        return "every day"
    if isinstance(days, OnWeekdays):
        return weekdays_text(days.weekdays)
    if isinstance(days, DaysOfMonth):
        return ",".join([*map(str, sorted(days.days)), *([_LAST] if days.last else [])])
    if isinstance(days, WeekdaysOfMonth):
        return f"{_titles(days.weeks).lower()} {weekdays_text(days.weekdays)}"
    return f"{_titles(days.months)} {days_text(days.days)}"


def weekdays_text(days: Iterable[Weekday]) -> str:
    """``Sunday,Wednesday``."""
    return _titles(days)


def _titles(words: Iterable[CalendarWord]) -> str:
    return ",".join(word.title for word in sorted(words))


# --- the other way; all raise ValueError with what to write -------------------------------------------------


def read_weekdays(text: str) -> frozenset[Weekday]:
    """``Sunday,Wednesday``."""
    return _words(text, Weekday, "days of the week, as in Sunday,Wednesday")


def read_month_days(text: str) -> MonthDays:
    """``1,15,last`` or ``first,third Sunday``."""
    first, _, weekdays = text.strip().partition(" ")
    if weekdays:
        weeks = _words(first, WeekOfMonth, "weeks of a month, as in first,last")
        return WeekdaysOfMonth(read_weekdays(weekdays), weeks)
    parts = [part.strip().lower() for part in first.split(",")]
    numbers = [part for part in parts if part != _LAST]
    if not all(part.isdecimal() for part in numbers):
        raise ValueError(f"{text!r} names no days of a month. Write 1,15,last or first,third Sunday.")
    return DaysOfMonth(frozenset(map(int, numbers)), _LAST in parts)


def read_year_days(text: str) -> InMonths:
    """``January 1`` or ``January,July last Sunday``."""
    months, _, days = text.strip().partition(" ")
    if not days:
        raise ValueError(f"{text!r} names no days of a year. Write January 1 or January last Sunday.")
    return InMonths(_words(months, Month, "months, as in January,July"), read_month_days(days))


def read_time(text: str) -> time:
    """``02:30``."""
    try:
        return datetime.strptime(text, "%H:%M").time()
    except ValueError:
        raise ValueError(f"{text!r} is no time of day. Write it like 02:30.") from None


def read_window(text: str) -> tuple[time, time]:
    """``22:00-06:00``."""
    start, _, end = text.partition("-")
    return read_time(start.strip()), read_time(end.strip())


def read_rate(text: str) -> int:
    """``50M``: bytes a second, in units of 1024."""
    number, factor = text.strip(), 1
    if number[-1:].lower() in _RATES:
        number, factor = number[:-1], _RATES[number[-1].lower()]
    if not number.isdecimal():
        raise ValueError(f"{text!r} is no rate. Write bytes a second like 50M, 800K or 1G.")
    return int(number) * factor


def _words(text: str, kind: type[Word], what: str) -> frozenset[Word]:
    try:
        return frozenset(kind[part.strip().upper()] for part in text.split(","))
    except KeyError:
        raise ValueError(f"{text!r} are no {what}.") from None
