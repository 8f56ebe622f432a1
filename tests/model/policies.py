"""Strategies for policies: everything that the rules allow, and the zones whose clocks change in odd ways."""

from datetime import time

from hypothesis import strategies as st

from overwinter.model.calendar_words import Month, Weekday, WeekOfMonth
from overwinter.model.extension import BackupWindow, Extension, WithoutAgent
from overwinter.model.long_term import (
    MOST,
    DaysOfMonth,
    EveryDay,
    InMonths,
    OnWeekdays,
    Rule,
    RuleName,
    WeekdaysOfMonth,
)
from overwinter.model.point import Consistency
from overwinter.model.policy import PolicyContent, PolicyType
from overwinter.model.schedule import DailySchedule, HourlySchedule, Schedule, WeeklySchedule

#: Plain; change at 2:00; of half an hour; at midnight; southern; odd offset; a day that never was; Windows.
ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Havana",
    "America/Santiago",
    "Asia/Kathmandu",
    "Pacific/Apia",
    "India Standard Time",
    "W. Europe Standard Time",
]

zones = st.sampled_from(ZONES)
times = st.builds(time, st.integers(0, 23), st.sampled_from([0, 15, 30, 45]))
weekdays = st.frozensets(st.sampled_from(Weekday), min_size=1)

schedules: st.SearchStrategy[Schedule] = st.one_of(
    st.builds(DailySchedule, times),
    st.builds(WeeklySchedule, weekdays, times),
    st.sampled_from([4, 6, 8, 12]).flatmap(
        lambda interval: st.builds(HourlySchedule, st.just(interval), times, st.integers(interval, 24))
    ),
)


@st.composite
def contents(draw: st.DrawFn) -> PolicyContent:
    schedule = draw(schedules)
    is_weekly = isinstance(schedule, WeeklySchedule)
    kind = PolicyType.V2
    if not isinstance(schedule, HourlySchedule):
        kind = draw(st.sampled_from(PolicyType))
    if kind is PolicyType.V1:
        instant = 5 if is_weekly else draw(st.integers(1, 5))
    else:
        instant = draw(st.integers(1, 30))
    run_days = schedule.days if isinstance(schedule, WeeklySchedule) else frozenset(Weekday)
    some_days = st.frozensets(st.sampled_from(sorted(run_days)), min_size=1)
    by_week = st.builds(WeekdaysOfMonth, some_days, st.frozensets(st.sampled_from(WeekOfMonth), min_size=1))
    by_number = st.one_of(
        st.builds(DaysOfMonth, st.frozensets(st.integers(1, 28), min_size=1), st.booleans()),
        st.just(DaysOfMonth(frozenset(), last=True)),
    )
    month_days = by_week if is_weekly else st.one_of(by_week, by_number)
    rules = []
    if not is_weekly:
        rules.append(Rule(RuleName.DAILY, draw(st.integers(instant, 400)), EveryDay()))
    if is_weekly or draw(st.booleans()):
        least = -(-instant // 7) if is_weekly else 1
        rules.append(Rule(RuleName.WEEKLY, draw(st.integers(least, 60)), OnWeekdays(draw(some_days))))
    if draw(st.booleans()):
        rules.append(Rule(RuleName.MONTHLY, draw(st.integers(1, 60)), draw(month_days)))
    if draw(st.booleans()):
        months = draw(st.frozensets(st.sampled_from(Month), min_size=1))
        days = InMonths(months, draw(month_days))
        rules.append(Rule(RuleName.YEARLY, draw(st.integers(1, MOST[RuleName.YEARLY])), days))
    crash_only = kind is PolicyType.V2 and draw(st.booleans())
    window = None
    if not isinstance(schedule, HourlySchedule) and draw(st.booleans()):
        end = draw(times.filter(lambda at: at != schedule.at))
        window = BackupWindow(schedule.at, end)
    prefix = draw(st.sampled_from([None, "backups-"]))
    return PolicyContent(
        type=kind,
        time_zone=draw(zones),
        schedule=schedule,
        instant_days=instant,
        rules=tuple(rules),
        crash_consistent_only=crash_only,
        group_prefix=prefix,
        group_suffix=None if prefix is None else draw(st.sampled_from([None, "-x"])),
        extension=Extension(
            required_consistency=Consistency.CRASH
            if crash_only
            else draw(st.sampled_from([Consistency.CRASH, Consistency.FILE_SYSTEM])),
            without_agent=draw(st.sampled_from(WithoutAgent)),
            retries=draw(st.integers(0, 10)),
            bandwidth_limit=draw(st.none() | st.integers(64 * 1024, 1 << 40)),
            backup_window=window,
            automatic_repair=draw(st.booleans()),
        ),
    )
