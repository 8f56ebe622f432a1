"""Retention in the vault: what rules keep what, over years and any policy; what must never be deleted."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overwinter.model.calendar_words import Month, Weekday, WeekOfMonth
from overwinter.model.default_policies import enhanced_content, standard_content
from overwinter.model.expiry import expired_recovery_points, kept, under_policy
from overwinter.model.long_term import (
    DaysOfMonth,
    EveryDay,
    InMonths,
    OnWeekdays,
    Rule,
    RuleName,
    WeekdaysOfMonth,
    months_later,
)
from overwinter.model.point import Consistency, RecoveryPoint
from overwinter.model.policy import PolicyContent
from overwinter.model.schedule import DailySchedule, runs
from overwinter.model.timezone import local_of
from tests.model import policies

DAY = timedelta(days=1)
ITEM = uuid4()
starts = st.datetimes(datetime(2005, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))

#: Grandfather, father, son.
LONG = PolicyContent(
    type=standard_content().type,
    time_zone="Europe/Berlin",
    schedule=DailySchedule(time(2, 30)),
    instant_days=2,
    rules=(
        Rule(RuleName.DAILY, 7, EveryDay()),
        Rule(RuleName.WEEKLY, 4, OnWeekdays(frozenset({Weekday.SUNDAY}))),
        Rule(RuleName.MONTHLY, 12, DaysOfMonth(frozenset({1}), last=True)),
        Rule(
            RuleName.YEARLY,
            10,
            InMonths(
                frozenset({Month.JANUARY}),
                WeekdaysOfMonth(frozenset({Weekday.SUNDAY}), frozenset({WeekOfMonth.FIRST})),
            ),
        ),
    ),
)


def point(created: datetime, **more: object) -> RecoveryPoint:
    fields = {"manifest": "m", "scheduled": created, **more}
    number = str(int(created.timestamp() * 1_000_000))
    return replace(
        RecoveryPoint(number, ITEM, created, Consistency.CRASH, None, None, None),
        **fields,  # type: ignore[arg-type]
    )


def local(year: int, month: int, day: int, hour: int = 2, minute: int = 30) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=LONG.zone).astimezone(UTC)


@pytest.mark.parametrize(
    ("scheduled", "rule", "until"),
    [
        (local(2026, 3, 11), RuleName.DAILY, local(2026, 3, 18)),
        (local(2026, 3, 8), RuleName.WEEKLY, local(2026, 4, 5)),  # over the change to summer time
        (local(2026, 2, 28), RuleName.MONTHLY, local(2027, 2, 28)),
        (local(2028, 2, 29), RuleName.MONTHLY, local(2029, 2, 28)),  # a leap day
        (local(2026, 1, 4), RuleName.YEARLY, local(2036, 1, 4)),
        (local(2026, 3, 1), RuleName.MONTHLY, local(2027, 3, 1)),  # a Sunday, too: the longer one counts
        (local(2026, 3, 22), RuleName.WEEKLY, local(2026, 4, 19)),
        (local(2026, 3, 29, 3, 0), RuleName.WEEKLY, local(2026, 4, 26, 3, 0)),  # the day without a 2:30
    ],
)
def test_the_longest_rule_of_the_day_counts(scheduled: datetime, rule: RuleName, until: datetime) -> None:
    found = kept(LONG, [scheduled])[scheduled]
    assert (found.rule, found.until) == (rule, until)


def test_months_end_where_they_end() -> None:
    assert months_later(datetime(2026, 1, 31), 1) == datetime(2026, 2, 28)
    assert months_later(datetime(2024, 2, 29), 12) == datetime(2025, 2, 28)
    assert months_later(datetime(2026, 12, 31), 2) == datetime(2027, 2, 28)
    assert months_later(datetime(2026, 11, 30), 1) == datetime(2026, 12, 30)


@pytest.mark.parametrize(
    ("week", "days"),
    [
        (WeekOfMonth.FIRST, [4, 1]),
        (WeekOfMonth.FOURTH, [25, 22]),
        (WeekOfMonth.LAST, [25, 29]),  # four Sundays in January 2026, five in March
    ],
)
def test_weeks_of_a_month(week: WeekOfMonth, days: list[int]) -> None:
    sundays = WeekdaysOfMonth(frozenset({Weekday.SUNDAY}), frozenset({week}))
    for month, wanted in zip((1, 3), days, strict=True):
        found = [day for day in range(1, 32) if sundays.has(date(2026, month, day))]
        assert found == [wanted]


def test_of_an_hourly_day_the_vault_keeps_the_last() -> None:
    policy = enhanced_content()
    day = datetime(2026, 5, 4, tzinfo=UTC)
    moments = runs(policy.schedule, policy.zone, day - timedelta(seconds=1), day + DAY - timedelta(seconds=1))
    found = kept(policy, moments)
    assert [found[moment].rule for moment in moments] == [RuleName.INSTANT] * 5 + [RuleName.DAILY]
    assert [found[moment].until - moment for moment in moments] == [7 * DAY] * 5 + [180 * DAY]
    # The last that succeeded is the last.
    assert kept(policy, moments[:3])[moments[2]].rule is RuleName.DAILY


@settings(max_examples=40)
@given(policies.contents(), starts, st.integers(1, 500))
def test_nothing_is_kept_that_no_rule_wants(policy: PolicyContent, start: datetime, days: int) -> None:
    moments = runs(policy.schedule, policy.zone, start, start + days * DAY)
    found = kept(policy, moments)
    assert list(found) == moments
    newest: dict[date, datetime] = {}
    for moment in moments:
        newest[local_of(moment, policy.zone).date()] = moment
    by_name = {rule.name: rule for rule in policy.rules}
    for moment, keeping in found.items():
        day = local_of(moment, policy.zone).date()
        wanting = [rule for rule in policy.rules if rule.days.has(day)] if newest[day] == moment else []
        if not wanting:
            assert keeping.rule is RuleName.INSTANT
            assert abs(keeping.until - moment - policy.instant_days * DAY) <= 26 * timedelta(hours=1)
            continue
        assert by_name[keeping.rule] in wanting, "a rule that wants this day"
        for rule in wanting:
            end = rule.end(local_of(moment, policy.zone))
            assert local_of(keeping.until, policy.zone) >= end - timedelta(hours=1), "no rule is cut short"


#: Where a point is: in the vault only, on the host only, in both.
PLACES: list[dict[str, object]] = [{}, {"manifest": None, "restore_point": ITEM}, {"restore_point": ITEM}]


@given(st.data(), policies.contents(), starts)
def test_expiry_over_years(data: st.DataObject, policy: PolicyContent, start: datetime) -> None:
    """Points of a schedule with some that were asked for, anywhere, looked at again and again."""
    moments = runs(policy.schedule, policy.zone, start, start + 60 * DAY)
    made = [point(moment, **data.draw(st.sampled_from(PLACES))) for moment in moments]
    for number, days in enumerate(data.draw(st.lists(st.integers(1, 60), max_size=3))):
        created = start + timedelta(days=7 * number, seconds=1)
        made.append(point(created, scheduled=None, expires=created + days * DAY))
    points = under_policy(made, policy)
    asked = {each.id: each.expires for each in made if each.scheduled is None}
    assert {each.id: each.expires for each in points if each.id in asked} == asked, "a request's expiry stays"
    previous: set[str] = set()
    for years in sorted(data.draw(st.lists(st.integers(-1, 110), min_size=1, max_size=4))):
        now = start + years * 365 * DAY
        expired = expired_recovery_points(points, now=now)
        ids = {each.id for each in expired}
        assert previous <= ids, "what has expired does not come back"
        previous = ids
        ordered = sorted(points, key=lambda each: each.created)
        assert not ordered or ordered[-1].id not in ids, "never the newest"
        in_vault = [each for each in ordered if each.manifest is not None]
        assert not in_vault or in_vault[-1].id not in ids, "never the newest of the vault"
        for each in ordered:
            over = each.expires is not None and each.expires <= now
            if each.id in ids:
                assert over and each.restore_point is None and each.manifest is not None
            elif over and each.manifest is not None and each.restore_point is None:
                assert each.id in (ordered[-1].id, in_vault[-1].id), "nothing is kept too long"


def test_a_changed_policy_applies_to_the_points_there_are() -> None:
    moments = [local(2026, 3, day) for day in range(9, 15)]
    points = under_policy([point(moment) for moment in moments], LONG)
    assert [each.rule for each in points] == [RuleName.DAILY] * 6
    now = local(2026, 3, 15)
    assert expired_recovery_points(points, now=now) == []
    shorter = under_policy(points, replace(LONG, rules=(Rule(RuleName.DAILY, 2, EveryDay()),)))
    assert [each.created for each in expired_recovery_points(shorter, now=now)] == moments[:5]
    longer = under_policy(shorter, LONG)
    assert longer == points
