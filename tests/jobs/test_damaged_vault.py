"""A vault that has lost part of what it holds: told by the next backup, which is right all the same."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from overwinter.model.job import Job, JobStatus
from overwinter.model.protection import ProtectedItem
from testkit.disks import MIB, DiskSpec, realistic_data, write_image
from testkit.domains import TinyGuest
from testkit.station import Station

pytestmark = pytest.mark.libvirt


@pytest.fixture
def station(station: Station) -> Station:
    """With a vault of its own: what one vault has lost it remembers."""
    return replace(station, vault=station.service.vaults.create(f"lost-{uuid4().hex[:6]}", "default"))


@pytest.fixture
def guest(station: Station) -> Iterator[TinyGuest]:
    made = station.ground.guests.make(
        f"lost-{uuid4().hex[:6]}", [DiskSpec("raw", size=8 * MIB, file_system=False)], start=False
    )
    write_image(made.disks["vda"], "raw", [(0, realistic_data(4 * MIB, seed=1))])
    yield made
    station.ground.guests.remove(made)


@pytest.fixture
def item(station: Station, guest: TinyGuest) -> ProtectedItem:
    made = station.protect(guest)
    station.backup(made)
    write_image(guest.chain("vda")[0], "qcow2", [(MIB, realistic_data(MIB, seed=2))])
    return made


def vault_directory(station: Station) -> Path:
    return Path(station.vault.url.removeprefix("file://"))


def lose(station: Station, directory: str) -> None:
    """Remove all objects of a kind, as the service finds it at its next start."""
    shutil.rmtree(vault_directory(station) / directory)
    station.service._runtime.vaults.forget(station.vault.id)


def verify(station: Station) -> Job:
    return station.ended(station.service.vaults.verify(station.vault.name, read_percent=100, point_id=None))


def check_newest(station: Station, guest: TinyGuest, item: ProtectedItem) -> None:
    newest = station.service.recovery_points(item)[-1]
    assert newest.manifest is not None
    station.check_restore(newest, {"vda": station.truth(guest, "vda")})


@pytest.mark.parametrize("lost", ["packs", "index"])
def test_a_disk_whose_earlier_map_is_lost_is_read_in_full(
    station: Station, guest: TinyGuest, item: ProtectedItem, lost: str
) -> None:
    lose(station, lost)
    point = station.backup(item, expected=("VaultObjectMissing",))
    assert not point.incremental
    check_newest(station, guest, item)
    assert station.backup(item).incremental


def test_data_that_is_damaged_is_stored_anew_from_the_host(
    station: Station, guest: TinyGuest, item: ProtectedItem
) -> None:
    """Of both points: the guest may have overwritten by now what the older one had."""
    station.backup(item)
    before = [point.id for point in station.service.recovery_points(item)]
    packs = [path for path in (vault_directory(station) / "packs").rglob("*") if path.is_file()]
    for pack in packs:
        content = bytearray(pack.read_bytes())
        content[len(content) // 2] ^= 0x10
        pack.write_bytes(content)
    station.service._runtime.vaults.forget(station.vault.id)
    assert station.service.plan_repairs(item) == [], "nobody has told of it"
    assert verify(station).status is JobStatus.FAILED
    (finding,) = station.service.plan_repairs(item)
    assert finding.repair == "chunk-heal" and "vda of point" in finding.finding
    job = station.completed(station.service.repair(item))
    assert job.report is not None
    assert [each["repair"] for each in job.report["repairs"]] == ["chunk-heal"]  # type: ignore[attr-defined]
    assert verify(station).status is not JobStatus.FAILED
    assert [point.id for point in station.service.recovery_points(item)] == before
    assert station.service.plan_repairs(item) == []
    check_newest(station, guest, item)


def test_an_index_that_is_lost_is_rebuilt_once_a_backup_told_of_it(
    station: Station, guest: TinyGuest, item: ProtectedItem
) -> None:
    assert station.service.plan_repairs(item) == []
    lose(station, "index")
    assert station.service.plan_repairs(item) == [], "nobody has told of it"
    station.backup(item, expected=("VaultObjectMissing",))
    assert verify(station).status is JobStatus.FAILED, "the older point cannot be read"
    assert [each.repair for each in station.service.plan_repairs(item)] == ["index-rebuild"]
    job = station.completed(station.service.repair(item))
    assert job.report is not None
    assert [each["repair"] for each in job.report["repairs"]] == ["index-rebuild"]  # type: ignore[attr-defined]
    assert verify(station).status is JobStatus.COMPLETED
    assert station.service.plan_repairs(item) == []
