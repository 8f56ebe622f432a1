"""What a backup and a restore promise in special situations, on real guests."""

import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import libvirt
import pytest

from overwinter.model.errors import (
    AlreadyExists,
    BackupOperationInProgress,
    DatasourceNotPresent,
    NotFound,
    RequestError,
)
from overwinter.model.job import JobStatus, TaskStatus
from overwinter.model.point import Consistency, Tier
from testkit.disks import MIB, DiskSpec, realistic_data, write_image
from testkit.domains import TinyGuest
from testkit.station import Station
from testkit.waiting import wait_until

pytestmark = pytest.mark.libvirt


@pytest.fixture(autouse=True)
def _no_guest_goes_on(station: Station) -> Iterator[None]:
    """Guests that nobody needs any more do not slow the other tests down."""
    yield
    for domain in station.ground.connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE):
        if domain.name().startswith(station.ground.run.domain_name("rules-")):
            domain.destroy()


def stopped_guest(station: Station, *formats: str, size: int = 64 * MIB) -> TinyGuest:
    specs = [DiskSpec(format=form, size=size, file_system=False) for form in formats]
    guest = station.ground.guests.make(f"rules-{uuid4().hex[:6]}", specs, start=False)
    for number, form in enumerate(formats):
        write_image(guest.disks[f"vd{'abc'[number]}"], form, [(0, realistic_data(8 * MIB, seed=number))])
    return guest


def test_a_running_guest_gets_a_file_system_consistent_point(station: Station) -> None:
    guest = station.ground.guests.make(f"rules-{uuid4().hex[:6]}", [DiskSpec()])
    item = station.protect(guest, station.strict_policy())
    point = station.backup(item)
    assert (point.consistency, point.tier) == (Consistency.FILE_SYSTEM, Tier.SNAPSHOT_AND_VAULT)
    assert point.bytes_stored > 0
    station.check_restore(point, {"vda": station.truth(guest, "vda")})


def test_a_second_backup_is_refused_while_one_runs(station: Station) -> None:
    item = station.protect(stopped_guest(station, "qcow2", size=256 * MIB))
    first = station.service.backup(item, expires=None)
    with pytest.raises(BackupOperationInProgress, match="in progress"):
        station.service.backup(item, expires=None)
    with pytest.raises(BackupOperationInProgress):
        station.service.unprotect(item, delete_data=True)
    station.completed(first)
    station.backup(item)


def test_no_agent_in_a_running_guest(station: Station) -> None:
    guest = station.ground.guests.make(f"rules-{uuid4().hex[:6]}", [DiskSpec()])
    item = station.protect(guest)
    guest.stop_agent()
    point = station.backup(item, expected=("UserErrorGuestAgentStatusUnavailable",))
    assert (point.consistency, point.freeze_ms) == (Consistency.CRASH, None)
    station.check_restore(point, {"vda": station.truth(guest, "vda")})
    item = station.protect(guest, station.strict_policy())
    before = guest.chain("vda")
    job = station.ended(station.service.backup(item, expires=None))
    assert job.status is JobStatus.FAILED
    assert [error.code for error in job.errors] == ["UserErrorGuestAgentStatusUnavailable"]
    assert guest.chain("vda") == before
    item = station.protect(guest, station.agent_policy())
    job = station.ended(station.service.backup(item, expires=None))
    assert [error.code for error in job.errors] == ["UserErrorGuestAgentStatusUnavailable"]
    assert guest.chain("vda") == before
    guest.resume_agent()
    assert station.backup(item).consistency is Consistency.FILE_SYSTEM
    item = station.protect(guest, station.crash_consistent_policy())
    point = station.backup(item)
    assert (point.consistency, point.freeze_ms) == (Consistency.CRASH, None)


def test_a_paused_guest_is_refused_and_untouched(station: Station) -> None:
    guest = station.ground.guests.make(f"rules-{uuid4().hex[:6]}", [DiskSpec()])
    item = station.protect(guest)
    guest.domain.suspend()
    job = station.ended(station.service.backup(item, expires=None))
    assert [error.code for error in job.errors] == [DatasourceNotPresent.code]
    assert guest.chain("vda") == [guest.disks["vda"]]
    guest.domain.resume()
    station.backup(item)


def test_unprotected_means_no_backup(station: Station) -> None:
    guest = stopped_guest(station, "raw")
    item = station.protect(guest)
    station.backup(item)
    station.completed(station.service.unprotect(item, delete_data=False))
    stopped = station.service.item(station.vault, guest.name)
    with pytest.raises(DatasourceNotPresent, match="not actively protected"):
        station.service.backup(stopped, expires=None)
    # Protection goes on with the same item, and its points are still there.
    again = station.protect(guest)
    assert again.id == item.id
    station.backup(again)
    assert len(station.service.recovery_points(again)) == 2


def test_unknown_things_are_named_and_change_nothing(station: Station) -> None:
    item = station.protect(stopped_guest(station, "raw"))
    with pytest.raises(NotFound, match="nobody"):
        station.service.machine("nobody")
    with pytest.raises(NotFound, match="nowhere"):
        station.service.vaults.get("nowhere")
    with pytest.raises(NotFound, match="12345"):
        station.service.recovery_point(item, "12345")


def test_a_restore_never_overwrites(station: Station) -> None:
    guest = stopped_guest(station, "qcow2", "raw")
    point = station.backup(station.protect(guest))
    with pytest.raises(AlreadyExists, match=guest.name):
        station.service.restore_as_vm(point, vm_name=guest.name, directory=None, start=False)
    directory = station.directory / "occupied"
    directory.mkdir()
    name = station.ground.run.domain_name("occupied")
    file = directory / f"{name}-vdb.raw"
    file.write_text("mine")
    with pytest.raises(AlreadyExists, match=str(file)):
        station.service.restore_as_vm(point, vm_name=name, directory=directory, start=False)
    assert [(path, path.read_text()) for path in directory.iterdir()] == [(file, "mine")]
    with pytest.raises(RequestError, match="does not exist"):
        station.service.restore_disks(point, directory=station.directory / "missing")


def test_a_restored_vm_is_a_new_one_that_runs_beside_the_original(station: Station) -> None:
    guest = station.ground.guests.make(
        f"rules-{uuid4().hex[:6]}", [DiskSpec(), DiskSpec("raw")], network=True
    )
    guest.agent.check("echo hello > /mnt/vdb/greeting; sync")
    point = station.backup(station.protect(guest))
    name = station.ground.run.domain_name(f"copy-{uuid4().hex[:6]}")
    job = station.service.restore_as_vm(point, vm_name=name, directory=None, start=True)
    station.completed(job)
    copy = station.ground.guests.find(name)
    copy.wait_ready()
    assert copy.agent.check("cat /mnt/vdb/greeting") == "hello\n"
    assert copy.domain.UUIDString() != guest.domain.UUIDString()
    one, other = (domain.XMLDesc().count("<mac address") for domain in (guest.domain, copy.domain))
    assert one == other == 1
    assert not set(copy.disks.values()) & set(guest.disks.values())


@pytest.mark.long
def test_every_flipped_byte_is_noticed_and_never_restored(station: Station) -> None:
    """One byte in each object of the vault that the restore reads, one after the other."""
    guest = stopped_guest(station, "raw")
    item = station.protect(guest)
    point = station.backup(item)
    truth = {"vda": station.truth(guest, "vda")}
    root = Path(station.vault.url.removeprefix("file://"))
    damaged = 0
    for file in sorted(path for path in root.rglob("*") if path.is_file() and path.stat().st_size):
        content = file.read_bytes()
        for place in (0, len(content) // 2, len(content) - 1):
            with file.open("r+b") as opened:
                opened.seek(place)
                opened.write(bytes([content[place] ^ 1]))
            directory = station.directory / f"flipped-{uuid4().hex[:6]}"
            directory.mkdir()
            reopen(station)
            try:
                job = station.ended(station.service.restore_disks(point, directory=directory))
            except Exception as error:  # noqa: BLE001 - any refusal must name its code
                assert getattr(error, "code", "").startswith("Vault"), error
                damaged += 1
            else:
                if job.status is JobStatus.FAILED:
                    assert job.errors[0].code.startswith("Vault"), job.errors
                    assert not list(directory.iterdir()), "a failed restore leaves nothing"
                    damaged += 1
            file.write_bytes(content)
    assert damaged > 0
    reopen(station)
    station.check_restore(point, truth)


def reopen(station: Station) -> None:
    """Let the next job open the vault anew, as a restarted service would."""
    station.service._runtime.vaults.forget(station.vault)


def test_the_guest_may_stop_during_the_transfer(station: Station) -> None:
    specs = [DiskSpec(), DiskSpec("qcow2", size=64 * MIB, file_system=False)]
    guest = station.ground.guests.make(f"rules-{uuid4().hex[:6]}", specs, start=False)
    write_image(guest.disks["vdb"], "qcow2", [(0, os.urandom(48 * MIB))])
    guest.start()
    item = station.protect(guest, station.slow_policy(8 * MIB))
    job = station.service.backup(item, expires=None)
    wait_until(
        lambda: station.service.job(job.id).tasks[1].status is TaskStatus.IN_PROGRESS, "no transfer", 60
    )
    guest.destroy()
    during = station.service.job(job.id)
    station.completed(job)
    assert during.status is JobStatus.IN_PROGRESS, "the transfer must still have been running"
    (point,) = station.service.recovery_points(item)
    station.check_restore(point, {target: station.truth(guest, target) for target in ("vda", "vdb")})
    guest.start()
    station.backup(station.protect(guest))


def test_cancel_during_the_transfer_keeps_the_snapshot_tier(station: Station) -> None:
    guest = stopped_guest(station, "qcow2")
    write_image(guest.disks["vda"], "qcow2", [(0, os.urandom(48 * MIB))])
    item = station.protect(guest, station.slow_policy(8 * MIB))
    job = station.service.backup(item, expires=None)
    wait_until(lambda: (station.service.job(job.id).tasks[1].done or 0) > 0, "no transfer", 60)
    station.service.cancel(job.id)
    ended = station.ended(job)
    assert ended.status is JobStatus.CANCELLED
    assert ended.tasks[1].status is TaskStatus.CANCELLED
    (point,) = station.service.recovery_points(item)
    assert point.tier is Tier.SNAPSHOT
    station.check_restore(point, {"vda": station.truth(guest, "vda")})
    newer = station.backup(station.protect(guest))
    station.check_restore(newer, {"vda": station.truth(guest, "vda")})
