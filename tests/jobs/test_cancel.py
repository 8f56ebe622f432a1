"""A job can be cancelled wherever it is, and the next one of its VM is as if it had not been."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from overwinter.jobs import retry
from overwinter.model.job import Job, JobStatus
from overwinter.model.protection import ProtectedItem
from testkit.disks import MIB, DiskSpec, realistic_data, write_image
from testkit.domains import TinyGuest
from testkit.station import Station
from testkit.waiting import wait_until
from tests.jobs.hold import Hold

pytestmark = pytest.mark.libvirt

HoldAt = Callable[[str], Hold]


@pytest.fixture
def hold_at(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> HoldAt:
    return lambda place: Hold(monkeypatch, tmp_path, place)


@pytest.fixture(scope="module")
def guest(station: Station) -> TinyGuest:
    """One that is off, with something on its disk."""
    disk = DiskSpec("qcow2", size=64 * MIB, file_system=False)
    made = station.ground.guests.make(f"cancel-{uuid4().hex[:6]}", [disk], start=False)
    write_image(made.disks["vda"], "qcow2", [(0, realistic_data(8 * MIB, seed=1))])
    return made


@pytest.fixture(scope="module")
def item(station: Station, guest: TinyGuest) -> ProtectedItem:
    return station.protect(guest)


def cancelled_at(station: Station, hold: Hold, job: Job) -> Job:
    hold.wait()
    assert station.service.cancel(job.id).status is JobStatus.CANCELLING
    hold.release()
    return station.ended(job)


@pytest.mark.parametrize(
    "place",
    ["backup.preflight", "snapshot.noted", "snapshot.taken", "transfer.stored", "transfer.committed"],
)
def test_a_backup(
    station: Station, guest: TinyGuest, item: ProtectedItem, hold_at: HoldAt, place: str
) -> None:
    before = station.service.recovery_points(item)
    hold = hold_at(place)
    job = cancelled_at(station, hold, station.service.backup(item, expires=None))
    # Once the vault has the point, there is nothing left to cancel but the clean-up.
    assert job.status is JobStatus.CANCELLED or place == "transfer.committed", job
    new = [point for point in station.service.recovery_points(item) if point not in before]
    for point in new:  # a snapshot is not undone: it is a point that can be restored
        station.check_restore(point, {"vda": station.truth(guest, "vda")})
    next_one = station.backup(item)
    station.check_restore(next_one, {"vda": station.truth(guest, "vda")})


@pytest.mark.parametrize("place", ["restore.disk-written", "restore.written"])
def test_a_restore_leaves_no_file(
    station: Station, item: ProtectedItem, hold_at: HoldAt, tmp_path: Path, place: str
) -> None:
    point = station.service.recovery_points(item)[-1]
    target = station.directory / f"restored-{uuid4().hex[:6]}"
    target.mkdir()
    hold = hold_at(place)
    job = cancelled_at(station, hold, station.service.restore_disks(point, directory=target))
    assert job.status is JobStatus.CANCELLED
    assert not list(target.iterdir())


def test_one_that_waits_for_its_turn_ends_at_once(
    station: Station, item: ProtectedItem, hold_at: HoldAt
) -> None:
    point = station.service.recovery_points(item)[-1]
    first, second = (station.directory / f"turn-{uuid4().hex[:6]}" for _ in range(2))
    first.mkdir()
    second.mkdir()
    hold = hold_at("restore.written")
    working = station.service.restore_disks(point, directory=first)
    hold.wait()
    waiting = station.service.restore_disks(point, directory=second)
    assert station.service.cancel(waiting.id).status is JobStatus.CANCELLED
    hold.release()
    station.completed(working)
    third = station.directory / f"turn-{uuid4().hex[:6]}"
    third.mkdir()
    station.completed(station.service.restore_disks(point, directory=third))  # the turn of the second is over
    assert list(first.iterdir()) and not list(second.iterdir())
    assert station.service.job(waiting.id).status is JobStatus.CANCELLED


def test_what_may_pass_is_tried_again_until_it_has_passed(
    station: Station, guest: TinyGuest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "PAUSES_S", (0.2,))
    disk = DiskSpec("qcow2", size=64 * MIB)
    stopped = station.ground.guests.make(f"retry-{uuid4().hex[:6]}", [disk], start=False)
    item = station.protect(stopped, station.strict_policy())
    at_once = station.ended(station.service.backup(item, expires=None))
    assert [error.code for error in at_once.errors] == ["UserErrorVmNotInDesirableState"]
    job = station.service.backup(item, expires=None, retries=1000)
    wait_until(lambda: int(str(station.service.job(job.id).properties.get("retries_made", 0))) > 1, "no try")
    stopped.start()
    assert station.ended(job).status is JobStatus.COMPLETED, station.service.job(job.id)
    station.ground.guests.remove(stopped)


def test_waiting_for_the_next_try_can_be_cancelled(
    station: Station, item: ProtectedItem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "PAUSES_S", (100_000.0,))
    disk = DiskSpec("qcow2", size=64 * MIB)
    stopped = station.ground.guests.make(f"retry-{uuid4().hex[:6]}", [disk], start=False)
    strict = station.protect(stopped, "Strict")
    job = station.service.backup(strict, expires=None, retries=1)
    wait_until(lambda: station.service.job(job.id).properties.get("retry_at") is not None, "not planned")
    due = datetime.fromisoformat(str(station.service.job(job.id).properties["retry_at"]))
    assert (due - datetime.now(UTC)).total_seconds() > 90_000
    station.service.cancel(job.id)
    ended = station.ended(job)
    assert ended.status is JobStatus.CANCELLED
    station.ground.guests.remove(stopped)
