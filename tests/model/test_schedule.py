"""Schedules over years: each local time runs once, also where clocks skip it or show it twice."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overwinter.model.calendar_words import Weekday
from overwinter.model.errors import PolicyInvalid
from overwinter.model.schedule import (
    DailySchedule,
    HourlySchedule,
    Schedule,
    WeeklySchedule,
    last_run,
    next_run,
    runs,
)
from overwinter.model.timezone import local_of, moment_of, time_zone
from tests.model import policies

DAY = timedelta(days=1)
moments = st.datetimes(datetime(2005, 1, 1), datetime(2045, 1, 1), timezones=st.just(UTC))


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type,misc]


@pytest.mark.parametrize(
    ("zone", "run_at", "day", "wanted"),
    [
        ("Europe/Berlin", time(2, 30), date(2026, 3, 28), utc(2026, 3, 28, 1, 30)),
        ("Europe/Berlin", time(2, 30), date(2026, 3, 29), utc(2026, 3, 29, 1)),  # skipped: 2:00 became 3:00
        ("Europe/Berlin", time(2, 0), date(2026, 3, 29), utc(2026, 3, 29, 1)),
        ("Europe/Berlin", time(3, 0), date(2026, 3, 29), utc(2026, 3, 29, 1)),
        ("Europe/Berlin", time(2, 30), date(2026, 10, 25), utc(2026, 10, 25, 0, 30)),  # the first of two
        ("America/New_York", time(2, 30), date(2026, 3, 8), utc(2026, 3, 8, 7)),
        ("Eastern Standard Time", time(1, 30), date(2026, 11, 1), utc(2026, 11, 1, 5, 30)),
        ("Australia/Lord_Howe", time(2, 15), date(2026, 10, 4), utc(2026, 10, 3, 15, 30)),  # half an hour
        ("America/Havana", time(0, 30), date(2026, 3, 8), utc(2026, 3, 8, 5)),  # midnight does not exist
        ("Pacific/Apia", time(2, 30), date(2011, 12, 30), utc(2011, 12, 30, 10)),  # nor does that whole day
        ("India Standard Time", time(2, 30), date(2026, 3, 29), utc(2026, 3, 28, 21)),
    ],
)
def test_on_days_when_clocks_change(zone: str, run_at: time, day: date, wanted: datetime) -> None:
    assert moment_of(datetime.combine(day, run_at), time_zone(zone)) == wanted


@given(policies.schedules, policies.zones, moments, st.integers(0, 40))
def test_runs_are_the_local_times_each_once(
    schedule: Schedule, zone_name: str, after: datetime, days: int
) -> None:
    zone = time_zone(zone_name)
    until = after + days * DAY
    found = runs(schedule, zone, after, until)
    assert found == sorted(set(found))
    assert all(after < moment <= until for moment in found)
    # Every minute of the local calendar that the schedule names has its run, and no other minute has one.
    wanted = set()
    day = after.date() - 3 * DAY
    while day <= until.date() + 3 * DAY:
        wanted |= {clock_first_shows(local, zone) for local in local_times(schedule, day)}
        day += DAY
    assert found == sorted(moment for moment in wanted if after < moment <= until)


def local_times(schedule: Schedule, day: date) -> list[datetime]:
    """The same in other words."""
    if isinstance(schedule, HourlySchedule):
        start = datetime.combine(day, schedule.start)
        hours = [h for h in range(24) if h % schedule.interval == 0 and h <= schedule.duration]
        return [start + timedelta(hours=h) for h in hours]
    if isinstance(schedule, WeeklySchedule) and day.weekday() not in schedule.days:
        return []
    return [datetime.combine(day, schedule.at)]


def clock_first_shows(local: datetime, zone: ZoneInfo) -> datetime:
    """The first quarter of an hour at which clocks show the time or have gone beyond it: brute force."""
    at = local.replace(tzinfo=UTC) - timedelta(hours=30)
    while at.astimezone(zone).replace(tzinfo=None) < local:
        at += timedelta(minutes=15)
    return at


@given(policies.schedules, policies.zones, moments)
def test_the_last_and_the_next_run(schedule: Schedule, zone_name: str, now: datetime) -> None:
    zone = time_zone(zone_name)
    around = runs(schedule, zone, now - 20 * DAY, now + 20 * DAY)
    assert last_run(schedule, zone, now) == max(moment for moment in around if moment <= now)
    assert next_run(schedule, zone, now) == min(moment for moment in around if moment > now)


@pytest.mark.parametrize("zone", policies.ZONES)
@pytest.mark.parametrize("year", [2011, 2024, 2026])
def test_a_daily_schedule_has_a_run_for_every_day_of_a_year(zone: str, year: int) -> None:
    at = moment_of(datetime(year, 1, 1), time_zone(zone))
    end = moment_of(datetime(year + 1, 1, 1), time_zone(zone))
    for run_at in (time(0, 0), time(0, 30), time(2, 30), time(23, 45)):
        found = runs(DailySchedule(run_at), time_zone(zone), at - timedelta(seconds=1), end)
        days = 366 if year == 2024 else 365
        # Midnight of the day that Apia left out was midnight of the next.
        is_one = (zone, year, run_at) == ("Pacific/Apia", 2011, time(0, 0))
        assert len([moment for moment in found if moment < end]) == days - is_one


def test_windows_and_iana_names() -> None:
    assert time_zone("india standard time").key == "Asia/Calcutta"
    assert time_zone("W. Europe Standard Time").key == "Europe/Berlin"
    assert time_zone("europe/berlin").key == "Europe/Berlin"
    assert time_zone("UTC").utcoffset(datetime(2026, 7, 1)) == timedelta(0)
    for wrong in ("", "Mars/Olympus", "../../etc/passwd", "America", "posixrules", "x" * 9999):
        with pytest.raises(PolicyInvalid, match="IANA"):
            time_zone(wrong)


def test_hours_of_a_window() -> None:
    zone = time_zone("UTC")
    day = utc(2026, 5, 4)

    def hours(interval: int, start: int, duration: int) -> list[int]:
        found = runs(HourlySchedule(interval, time(start), duration), zone, day + 7 * DAY, day + 8 * DAY)
        return sorted(local_of(moment, zone).hour for moment in found)

    assert hours(4, 8, 24) == [0, 4, 8, 12, 16, 20]
    assert hours(4, 8, 12) == [8, 12, 16, 20]
    assert hours(12, 6, 12) == [6, 18]
    assert hours(6, 20, 10) == [2, 20]
    assert Weekday(day.weekday()) is Weekday.MONDAY
