"""The scheduler on a real catalog: simulated weeks with a test clock, restarts, and VMs that are busy."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from overwinter.catalog import items, points, policies, schedules, vaults
from overwinter.catalog import jobs as job_table
from overwinter.catalog.database import Catalog
from overwinter.hypervisor.connection import Hypervisor
from overwinter.jobs import point_expiry, policy_admin
from overwinter.jobs.runtime import Runtime
from overwinter.jobs.schedule import Scheduler
from overwinter.jobs.vault_stores import VaultStores
from overwinter.model.calendar_words import Weekday
from overwinter.model.default_policies import default_policies, enhanced_content, new_policy, standard_content
from overwinter.model.errors import PolicyInUse
from overwinter.model.job import Job, JobOperation, JobStatus
from overwinter.model.long_term import EveryDay, OnWeekdays, Rule, RuleName
from overwinter.model.point import Consistency, RecoveryPoint
from overwinter.model.policy import PolicyContent
from overwinter.model.protection import KeyKind, ProtectedItem, ProtectionState, Vault
from overwinter.model.schedule import WeeklySchedule
from overwinter.model.settings import Settings
from testkit.waiting import wait_until

START = datetime(2026, 3, 20, 12, tzinfo=UTC)
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)

WEEKLY = replace(
    standard_content(),
    time_zone="Europe/Berlin",
    schedule=WeeklySchedule(frozenset({Weekday.SUNDAY}), time(2, 30)),
    instant_days=5,
    rules=(Rule(RuleName.WEEKLY, 4, OnWeekdays(frozenset({Weekday.SUNDAY}))),),
)


class Days:
    """A service's scheduler without its engine: jobs end at once, and each makes a point in the vault."""

    def __init__(self, directory: Path) -> None:
        self.now = START
        catalog = Catalog(f"sqlite:///{directory}/catalog.db")
        catalog.migrate()
        stores = VaultStores(directory)
        self.runtime = Runtime(Settings("h"), catalog, Hypervisor(), stores, lambda: self.now)
        self.vault = Vault(uuid4(), "v", "default", "local", "file:///v", KeyKind.KEY_FILE, "/k", START)
        with catalog.transaction() as tx:
            vaults.insert(tx, self.vault)
            for policy in default_policies(self.vault.id, uuid4):
                policies.put(tx, policy)
        self.jobs_end = True
        self.restart()

    def restart(self) -> None:
        self.scheduler = Scheduler(self.runtime, self._new_job, self._run)

    def protect(self, vm: str, policy: PolicyContent | None = None) -> ProtectedItem:
        name = f"policy-of-{vm}"
        made = new_policy(uuid4(), self.vault.id, name, policy or standard_content())
        item = ProtectedItem(
            uuid4(), self.vault.id, made.id, uuid4(), vm, "g", ProtectionState.PROTECTED, self.now
        )
        with self.runtime.catalog.transaction() as tx:
            policies.put(tx, made)
            items.put(tx, item)
        return item

    def pass_by(self, length: timedelta, step: timedelta = HOUR) -> None:
        end = self.now + length
        while self.now < end:
            self.now += step
            self.scheduler.look()

    def scheduled(self, item: ProtectedItem, status: JobStatus = JobStatus.COMPLETED) -> list[datetime]:
        with self.runtime.catalog.transaction() as tx:
            found = [job for job in job_table.every(tx) if job.item_id == item.id and job.is_scheduled]
        moments = [point_expiry.scheduled_for(job) for job in found if job.status is status]
        return sorted(moment for moment in moments if moment is not None)

    def points(self, item: ProtectedItem) -> list[RecoveryPoint]:
        with self.runtime.catalog.transaction() as tx:
            return points.recovery_points_of(tx, item.id)

    def _new_job(self, item: ProtectedItem, operation: JobOperation, parameters: dict[str, object]) -> Job:
        status = JobStatus.IN_PROGRESS
        return Job(
            uuid4(), item.vault_id, item.id, item.vm_uuid, item.vm_name, operation, status, self.now,
            parameters=parameters,
        )  # fmt: skip

    def _run(self, job: Job) -> None:
        assert job.item_id is not None
        if not self.jobs_end:
            return
        number = str(int(self.now.timestamp() * 1_000_000) + job.id.int % 1000)
        point = RecoveryPoint(number, job.item_id, self.now, Consistency.CRASH, None, None, "m")
        point = replace(point, scheduled=point_expiry.scheduled_for(job))
        with self.runtime.catalog.transaction() as tx:
            points.put_recovery_point(tx, point)
            item = items.find_by_id(tx, job.item_id)
            assert item is not None
            point_expiry.apply(tx, item.id, policies.get_by_id(tx, item.policy_id).content)
        self.end(job.id)

    def end(self, job_id: UUID) -> None:
        with self.runtime.catalog.transaction() as tx:
            job_table.finish(tx, job_id, status=JobStatus.COMPLETED, ended=self.now, errors=[], properties={})


@pytest.fixture
def days(tmp_path: Path) -> Iterator[Days]:
    made = Days(tmp_path)
    yield made
    made.runtime.catalog.close()


def test_three_weeks_over_the_change_to_summer_time(days: Days) -> None:
    daily, weekly = days.protect("daily"), days.protect("weekly", WEEKLY)
    hourly = days.protect("hourly", enhanced_content())
    days.pass_by(21 * DAY - 2 * HOUR, step=2 * HOUR)
    assert days.scheduled(daily) == [START + timedelta(hours=14, minutes=30) + n * DAY for n in range(21)]
    # Sunday 29 March has no 2:30 in Berlin: the backup runs when 2:00 becomes 3:00.
    sundays = [(22, 1, 30), (29, 1, 0)]
    wanted = [datetime(2026, 3, *each, tzinfo=UTC) for each in sundays]
    assert days.scheduled(weekly) == [*wanted, datetime(2026, 4, 5, 0, 30, tzinfo=UTC)]
    assert days.scheduled(hourly) == [START + n * 4 * HOUR for n in range(1, 21 * 6)]
    rules = [point.rule for point in days.points(hourly)]
    assert rules.count(RuleName.DAILY) == 22, "the last of each day"
    assert {point.rule for point in days.points(weekly)} == {RuleName.WEEKLY}
    assert [point.expires for point in days.points(weekly)] == [
        datetime(2026, 4, 19, 0, 30, tzinfo=UTC),
        datetime(2026, 4, 26, 1, 0, tzinfo=UTC),
        datetime(2026, 5, 3, 0, 30, tzinfo=UTC),
    ]


def test_downtime_is_caught_up_once(days: Days) -> None:
    item = days.protect("web01")
    days.pass_by(2 * DAY)
    days.now += 3 * DAY
    days.restart()
    days.pass_by(HOUR)
    first = START + timedelta(hours=14, minutes=30)
    assert days.scheduled(item) == [first, first + DAY, first + 4 * DAY]


def test_only_active_items_and_only_from_their_protection_on(days: Days) -> None:
    item = days.protect("web01")
    days.pass_by(DAY)
    with days.runtime.catalog.transaction() as tx:
        items.put(tx, replace(item, state=ProtectionState.STOPPED))
    days.pass_by(3 * DAY)
    with days.runtime.catalog.transaction() as tx:
        assert schedules.done_until(tx) == {}
        items.put(tx, item)
    days.pass_by(DAY)
    first = START + timedelta(hours=14, minutes=30)
    assert days.scheduled(item) == [first, first + 4 * DAY], "what was not protected was not missed"


def test_a_busy_vm_misses_its_run(days: Days) -> None:
    item = days.protect("web01")
    days.jobs_end = False
    days.pass_by(2 * DAY + HOUR)
    first = START + timedelta(hours=14, minutes=30)
    assert days.scheduled(item, JobStatus.IN_PROGRESS) == [first]
    assert days.scheduled(item, JobStatus.FAILED) == [first + DAY]
    with days.runtime.catalog.transaction() as tx:
        (missed,) = [job for job in job_table.every(tx) if job.status is JobStatus.FAILED]
        (running,) = job_table.active(tx)
    assert [error.code for error in missed.errors] == ["UserErrorBackupOperationInProgress"]
    days.end(running.id)
    days.jobs_end = True
    days.pass_by(DAY)
    assert days.scheduled(item) == [first, first + 2 * DAY], "missed is missed"


def test_a_crash_between_entering_and_starting_does_not_start_twice(days: Days) -> None:
    item = days.protect("web01")
    days.pass_by(14 * HOUR)

    def die(job: Job) -> None:
        raise KeyboardInterrupt

    days.scheduler = Scheduler(days.runtime, days._new_job, die)
    with pytest.raises(KeyboardInterrupt):
        days.pass_by(HOUR)
    days.restart()
    days.pass_by(HOUR)
    with days.runtime.catalog.transaction() as tx:
        assert [job.item_id for job in job_table.active(tx)] == [item.id], "the next start hands it on"


def test_a_changed_policy_reaches_points_and_schedule(days: Days) -> None:
    item = days.protect("web01")
    days.pass_by(10 * DAY)
    before = days.points(item)
    assert lengths(before) == {30 * DAY}
    asked = replace(before[0], id="7", scheduled=None, rule=None)
    with days.runtime.catalog.transaction() as tx:
        points.put_recovery_point(tx, asked)
        policy = policies.get(tx, days.vault.id, "policy-of-web01")
    shorter = replace(standard_content(run_at=time(11)), rules=(Rule(RuleName.DAILY, 7, EveryDay()),))
    changed = new_policy(policy.id, days.vault.id, policy.name, shorter)
    policy_admin.put(days.runtime, days.vault, changed)
    after = {point.id: point for point in days.points(item)}
    assert after.pop("7") == asked, "what somebody asked for stays as asked"
    assert lengths(list(after.values())) == {7 * DAY}
    # It is noon: 11 o'clock of today was not missed.
    days.pass_by(DAY)
    assert days.scheduled(item)[len(before) :] == [days.now.replace(hour=11)]


def lengths(found: list[RecoveryPoint]) -> set[timedelta]:
    return {point.expires - point.scheduled for point in found if point.expires and point.scheduled}


def test_policies_in_use_and_the_two_of_every_vault_stay(days: Days) -> None:
    days.protect("web01")
    for name, says in (("policy-of-web01", "web01"), ("DefaultPolicy", "every vault")):
        with pytest.raises(PolicyInUse, match=says):
            policy_admin.delete(days.runtime, days.vault, name)


def test_a_thread_looks_until_the_end(days: Days, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop goes on after a failed look, and ends with its block."""
    monkeypatch.setattr("overwinter.jobs.schedule.INTERVAL_S", 0.01)
    item = days.protect("web01")
    days.scheduler.look()
    fails = iter([True, False])
    clock = days.runtime.clock

    def broken_once() -> datetime:
        if next(fails, False):
            raise ConnectionError("the database is away")
        return clock() + DAY

    scheduler = Scheduler(days.runtime, days._new_job, days._run)
    monkeypatch.setattr(scheduler, "_runtime", replace(days.runtime, clock=broken_once))
    with scheduler.running():
        wait_until(lambda: len(days.scheduled(item)) == 1, "the backup did not start", 20)
