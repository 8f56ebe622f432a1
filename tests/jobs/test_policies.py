"""What a policy says is done, on real disks: scheduled points, their expiry, the limit on transfers."""

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from overwinter.model.default_policies import standard_content
from overwinter.model.extension import Extension
from overwinter.model.long_term import EveryDay, Rule, RuleName
from testkit.disks import MIB, DiskSpec, realistic_data, write_image
from testkit.domains import TinyGuest
from testkit.ground import Ground
from testkit.station import Station, open_station

pytestmark = pytest.mark.libvirt

DAY = timedelta(days=1)
DUE = datetime(2026, 3, 1, 2, 30, tzinfo=UTC)


class Clock:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.now = DUE - timedelta(hours=1)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def aged(ground: Ground, clock: Clock) -> Iterator[Station]:
    with open_station(ground, clock=clock) as opened:
        yield opened


def stopped_guest(station: Station, data: int) -> TinyGuest:
    spec = DiskSpec("raw", size=32 * MIB, file_system=False)
    guest = station.ground.guests.make(f"plan-{uuid4().hex[:6]}", [spec], start=False)
    write_image(guest.disks["vda"], "raw", [(0, realistic_data(data, seed=1))])
    return guest


def test_from_the_schedule_to_the_expiry(aged: Station, clock: Clock) -> None:
    guest = stopped_guest(aged, MIB)
    item = aged.protect(guest, aged.put_policy("mine", standard_content(daily_days=30)))
    assert aged.service.scheduler.look() == []
    clock.now = DUE + timedelta(seconds=7)
    (job,) = aged.service.scheduler.look()
    aged.completed(job)
    assert aged.service.scheduler.look() == []
    (point,) = aged.service.recovery_points(item)
    assert (point.scheduled, point.created) == (DUE, clock.now)
    assert (point.rule, point.expires) == (RuleName.DAILY, DUE + 30 * DAY)
    clock.now += timedelta(minutes=1)
    asked = aged.backup(item)
    assert (asked.scheduled, asked.rule, asked.expires) == (None, None, clock.now + 30 * DAY)

    aged.put_policy("mine", replace(standard_content(), rules=(Rule(RuleName.DAILY, 400, EveryDay()),)))
    scheduled, same = aged.service.recovery_points(item)
    assert scheduled.expires == DUE + 400 * DAY
    assert same.expires == asked.expires


def test_a_transfer_keeps_to_its_limit(station: Station) -> None:
    guest = stopped_guest(station, 12 * MIB)
    limit = 8 * MIB
    policy = replace(standard_content(), extension=Extension(bandwidth_limit=limit))
    item = station.protect(guest, station.put_policy("mine", policy))
    begun = time.monotonic()
    point = station.backup(item)
    # What is read at once is up to 4 MiB, and the first such piece need not wait.
    assert point.bytes_read >= 12 * MIB
    assert time.monotonic() - begun >= (point.bytes_read - 4 * MIB) / limit
    station.check_restore(point, {"vda": station.truth(guest, "vda")})
