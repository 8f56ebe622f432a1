"""Days of daily backups: old snapshot points merge away, every backup is incremental, every point right."""

from collections.abc import Iterator

import pytest

from overwinter.model.point import Tier
from testkit.ground import Ground
from testkit.job_days import Clock, Days
from testkit.station import Station, open_station

pytestmark = pytest.mark.libvirt

DAYS = 6


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def aged(ground: Ground, clock: Clock) -> Iterator[Station]:
    with open_station(ground, clock=clock) as opened:
        yield opened


@pytest.mark.parametrize(
    "running", [pytest.param(True, marks=pytest.mark.long), False], ids=["running", "stopped"]
)
def test_days_go_by(aged: Station, clock: Clock, running: bool) -> None:
    days = Days(aged, clock, running=running)
    for _ in range(DAYS):
        days.pass_one()
        # Two days of instant retention: today's, yesterday's and the day before's points are kept.
        assert len(days.guest.chain("vda")) == len(days.guest.chain("vdb")) <= 4
    assert [point.incremental for point in days.points] == [False] + [True] * (DAYS - 1)
    kept = {point.id: point.tier for point in aged.service.recovery_points(days.item)}
    tiers = [Tier.VAULT] * (DAYS - 3) + [Tier.SNAPSHOT_AND_VAULT] * 3
    assert [kept[point.id] for point in days.points] == tiers
    days.compare_all()
    assert days.compared == DAYS + 3
    days.remove()
