"""A vault that was away until the host was full of points: once it is back, the next backup makes room."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from overwinter.jobs import preflight, prune
from overwinter.model.job import JobStatus
from overwinter.model.point import Tier
from testkit.disks import MIB, DiskSpec, realistic_data, write_image
from testkit.domains import TinyGuest
from testkit.station import Station

pytestmark = pytest.mark.libvirt

#: As 18, and quicker.
MOST = 3


@pytest.fixture
def guest(station: Station) -> Iterator[TinyGuest]:
    spec = DiskSpec("raw", size=8 * MIB, file_system=False)
    made = station.ground.guests.make(f"behind-{uuid4().hex[:6]}", [spec], start=False)
    yield made
    station.ground.guests.remove(made)


def test_the_oldest_point_goes_to_the_vault_to_make_room(
    station: Station, guest: TinyGuest, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (preflight, prune):
        monkeypatch.setattr(module, "MAX_RESTORE_POINTS", MOST)
    vault = station.service.vaults.create(f"behind-{uuid4().hex[:6]}", "default")
    place = Path(vault.url.removeprefix("file://"))
    station = replace(station, vault=vault)
    item = station.protect(guest)
    away = place.rename(place.with_name("away"))
    truths = []
    for number in range(MOST):
        write_image(guest.chain("vda")[0], "qcow2" if number else "raw", [(0, realistic_data(MIB, number))])
        point = station.backup(item, expected=("VaultUnavailable",))
        assert point.tier is Tier.SNAPSHOT
        truths.append({"vda": station.truth(guest, "vda")})

    job = station.ended(station.service.backup(item, expires=None))
    assert job.status is JobStatus.FAILED
    assert [error.code for error in job.errors] == ["UserErrorRpCollectionLimitReached"]
    assert "no vault at" in job.errors[0].message

    away.rename(place)
    newest = station.backup(item)
    oldest, *others, _ = station.service.recovery_points(item)
    assert [oldest.tier, newest.tier] == [Tier.VAULT, Tier.SNAPSHOT_AND_VAULT]
    assert {point.tier for point in others} == {Tier.SNAPSHOT}
    station.check_restore(oldest, truths[0])
    station.check_restore(newest, {"vda": station.truth(guest, "vda")})
