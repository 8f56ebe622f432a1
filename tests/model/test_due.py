"""What is due over simulated weeks: with downtime, a clock that jumps, and windows."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from overwinter.model.default_policies import standard_content
from overwinter.model.due import MOST_AHEAD, SPREAD, ScheduledItem, done_too_far, due
from overwinter.model.extension import BackupWindow, Extension
from overwinter.model.policy import PolicyContent
from overwinter.model.schedule import runs
from overwinter.model.timezone import local_of
from tests.model import policies

DAY, HOUR, MINUTE, LOOK = (timedelta(**{unit: 1}) for unit in ("days", "hours", "minutes", "seconds"))
START = datetime(2026, 3, 20, tzinfo=UTC)
NIGHTLY = standard_content()


def items(count: int, policy: PolicyContent = NIGHTLY) -> list[ScheduledItem]:
    return [ScheduledItem(UUID(int=number), policy, START) for number in range(count)]


class Host:
    """What a scheduler does with the rule, without a service."""

    def __init__(self, scheduled: list[ScheduledItem]) -> None:
        self.items = {item.item_id: item for item in scheduled}
        self.started: list[tuple[UUID, datetime, datetime]] = []
        self.since = START

    def look(self, now: datetime) -> None:
        for item in list(self.items.values()):
            if done_too_far(item, now):
                self.items[item.item_id] = replace(item, done_until=now)
        for item_id, moment in due(list(self.items.values()), now=now, since=min(self.since, now)):
            self.items[item_id] = replace(self.items[item_id], done_until=moment)
            self.started.append((item_id, moment, now))


def test_vms_of_a_host_start_one_after_the_other_within_two_minutes() -> None:
    host = Host(items(20))
    at = START + timedelta(hours=2, minutes=30)
    for second in range(-5, 120):
        host.look(at + second * LOOK)
    assert len({item_id for item_id, _, _ in host.started}) == len(host.started) == 20
    starts = [now for _, _, now in host.started]
    assert len(set(starts)) == 20, "no two together"
    assert at <= min(starts) and max(starts) < at + 2 * MINUTE


def test_what_was_missed_is_caught_up_once_and_spread() -> None:
    host = Host(items(10))
    host.since = back = START + timedelta(days=3, hours=12)
    for second in range(120):
        host.look(back + second * LOOK)
    assert [moment for _, moment, _ in host.started] == [START + timedelta(days=3, hours=2, minutes=30)] * 10
    assert len({now for _, _, now in host.started}) == 10


def test_a_clock_set_back_starts_nothing_twice_and_one_far_ahead_is_forgotten() -> None:
    host = Host(items(1))
    run = START + timedelta(hours=2, minutes=30)
    host.look(run)
    for hours in (1, 2, 3):
        host.look(run - hours * HOUR)
        host.look(run)
    assert len(host.started) == 1
    host.look(run + 400 * DAY)  # somebody typed a wrong year
    host.look(run + 1 * MINUTE)
    host.look(run + 1 * DAY)
    assert [moment for _, moment, _ in host.started] == [run, run + 400 * DAY, run + DAY]


def test_outside_the_window_an_item_waits() -> None:
    window = BackupWindow(time(22), time(6))
    policy = replace(NIGHTLY, extension=Extension(backup_window=window))
    host = Host(items(2, policy))
    host.since = back = START + timedelta(hours=9)  # the run of 2:30 was missed
    at = back
    while at < START + 23 * HOUR:
        host.look(at)
        at += MINUTE
    opened = START + 22 * HOUR
    assert [now for _, _, now in host.started] == [opened, opened + MINUTE]


@settings(max_examples=40)
@given(policies.contents(), st.data())
def test_over_weeks_of_a_real_life(policy: PolicyContent, data: st.DataObject) -> None:
    """Looks at any intervals, with the clock set back now and then: each run at most once, no other."""
    host = Host(items(3, policy))
    now = latest = START
    for _ in range(60):
        step = data.draw(st.sampled_from([5 * LOOK, MINUTE, HOUR, 7 * HOUR, 2 * DAY, -HOUR, -8 * HOUR]))
        now = max(now + step, latest - MOST_AHEAD / 2)
        latest = max(latest, now)
        host.look(now)
    started = [(item_id, moment) for item_id, moment, _ in host.started]
    assert len(set(started)) == len(started)
    real = set(runs(policy.schedule, policy.zone, START, latest))
    assert {moment for _, moment in started} <= real
    window = policy.extension.backup_window
    for item_id in host.items:
        own = [(moment, now) for each, moment, now in host.started if each == item_id]
        assert own == sorted(own), "the later moment starts later"
        for moment, begun in own:
            assert moment <= begun
            assert window is None or window.has(local_of(begun, policy.zone).time())


@settings(max_examples=20)
@given(policies.contents())
def test_a_service_that_runs_misses_nothing(policy: PolicyContent) -> None:
    host = Host(items(3, policy))
    moments = runs(policy.schedule, policy.zone, START, START + 21 * DAY)
    for moment in moments:
        for seconds in (0, 20, 50):
            host.look(moment + seconds * LOOK)
    started = sorted((moment, item_id) for item_id, moment, _ in host.started)
    assert started == sorted((moment, item_id) for moment in moments for item_id in host.items)
    assert all(now - moment <= SPREAD for _, moment, now in host.started)
