"""Days of daily backups: old snapshot points merge away and every backup stays incremental."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from overwinter.model.point import Tier
from testkit.disks import MIB, DiskSpec, realistic_data, write_image
from testkit.ground import Ground
from tests.jobs.station import Station, open_station

pytestmark = pytest.mark.libvirt

SIZE = 32 * MIB
DAYS = 8


class Clock:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 2, 30, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def aged(ground: Ground, clock: Clock) -> Iterator[Station]:
    with open_station(ground, clock=clock) as opened:
        yield opened


@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
def test_days_go_by(aged: Station, clock: Clock, running: bool) -> None:
    specs = [DiskSpec(form, size=SIZE, file_system=False) for form in ("qcow2", "raw")]
    guest = aged.ground.guests.make(f"days-{uuid4().hex[:6]}", specs, start=running)
    item = aged.protect(guest)
    expected = ("UserErrorFsFreezeFailed",) if running else ()
    points, truths = [], []
    for day in range(DAYS):
        for target in ("vda", "vdb"):
            if running:
                guest.overwrite(target, [day * MIB])
            else:
                top = guest.chain(target)[0]
                form = "raw" if top == guest.disks["vdb"] else "qcow2"
                write_image(top, form, [(day * MIB, realistic_data(MIB, seed=day))])
        points.append(aged.backup(item, expected=expected))
        truths.append({target: aged.truth(guest, target) for target in ("vda", "vdb")})
        # Two days of instant retention: today's, yesterday's and the day before's points are kept.
        assert len(guest.chain("vda")) == len(guest.chain("vdb")) <= 4
        clock.now += timedelta(days=1)
    assert [point.incremental for point in points] == [False] + [True] * (DAYS - 1)
    kept = {point.id: point.tier for point in aged.service.recovery_points(item)}
    assert [kept[point.id] for point in points] == [Tier.VAULT] * (DAYS - 3) + [Tier.SNAPSHOT_AND_VAULT] * 3
    for point, truth in zip(points, truths, strict=True):
        aged.check_restore(point, truth)
