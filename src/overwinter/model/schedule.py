"""When a policy's backups run: daily, weekly, or every few hours within a window, in local time.

A local time that clocks skip runs once, at the moment they skip it; one that they show twice runs once.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from overwinter.model.calendar_words import Weekday
from overwinter.model.timezone import local_of, moment_of

#: Hours between the backups of an hourly schedule (reference articles, enhanced policy).
INTERVALS_H = (4, 6, 8, 12)

_DAY = timedelta(days=1)

#: A weekly schedule has a run in any stretch of this length, whatever the clocks do.
_LONGEST_GAP = timedelta(days=9)


class Frequency(StrEnum):
    """How often a schedule runs, in the words of the ARM API."""

    HOURLY = "Hourly"
    DAILY = "Daily"
    WEEKLY = "Weekly"


@dataclass(frozen=True)
class DailySchedule:
    """One backup a day at a local time."""

    at: time
    frequency = Frequency.DAILY

    @property
    def times_of_day(self) -> tuple[time, ...]:
        """The times of day at which backups run."""
        return (self.at,)

    def times_of(self, day: date) -> Iterator[datetime]:
        """Local times of the runs that belong to a day."""
        yield datetime.combine(day, self.at)


@dataclass(frozen=True)
class WeeklySchedule:
    """One backup on some days of the week at a local time."""

    days: frozenset[Weekday]
    at: time
    frequency = Frequency.WEEKLY

    @property
    def times_of_day(self) -> tuple[time, ...]:
        """The times of day at which backups run."""
        return (self.at,)

    def times_of(self, day: date) -> Iterator[datetime]:
        """Local times of the runs that belong to a day."""
        if Weekday(day.weekday()) in self.days:
            yield datetime.combine(day, self.at)


@dataclass(frozen=True)
class HourlySchedule:
    """A backup every ``interval`` hours from ``start``, for ``duration`` hours; the end counts.

    A window of 24 hours ends where the next day's begins.
    """

    interval: int
    start: time
    duration: int
    frequency = Frequency.HOURLY

    @property
    def times_of_day(self) -> tuple[time, ...]:
        """The times of day at which backups run, from the first of the window on."""
        return tuple(local.time() for local in self.times_of(date(2026, 1, 1)))

    def times_of(self, day: date) -> Iterator[datetime]:
        """Local times of the runs of the window that begins on a day; some may be on the next."""
        first = datetime.combine(day, self.start)
        for hours in range(0, min(self.duration, 23) + 1, self.interval):
            yield first + timedelta(hours=hours)


Schedule = DailySchedule | WeeklySchedule | HourlySchedule


def runs(schedule: Schedule, zone: ZoneInfo, after: datetime, until: datetime) -> list[datetime]:
    """The moments, in UTC, at which a schedule runs: later than ``after``, up to and with ``until``."""
    day = local_of(after, zone).date() - 2 * _DAY
    last = local_of(until, zone).date() + _DAY
    found: set[datetime] = set()
    while day <= last:
        found.update(moment_of(local, zone) for local in schedule.times_of(day))
        day += _DAY
    return sorted(moment for moment in found if after < moment <= until)


def last_run(schedule: Schedule, zone: ZoneInfo, until: datetime) -> datetime:
    """The last moment, up to and with ``until``, at which a schedule was to run."""
    return runs(schedule, zone, until - _LONGEST_GAP, until)[-1]


def next_run(schedule: Schedule, zone: ZoneInfo, after: datetime) -> datetime:
    """The first moment later than ``after`` at which a schedule runs."""
    return runs(schedule, zone, after, after + _LONGEST_GAP)[0]
