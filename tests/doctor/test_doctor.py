"""The doctor at a real VM on real libvirt: well it passes, and each injury is found where it is."""

import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import libvirt
import pytest

from overwinter.doctor.check import Status
from overwinter.doctor.collect import LIMITS_S, collect
from overwinter.doctor.doctor import Doctor
from overwinter.doctor.fact import Source
from overwinter.doctor.report import Report
from overwinter.hypervisor.connection import Hypervisor
from overwinter.model.errors import NotFound
from overwinter.model.protection import ProtectedItem
from testkit.disks import DiskSpec
from testkit.domains import TinyGuest
from testkit.station import Station
from testkit.waiting import wait_until

pytestmark = pytest.mark.libvirt


@pytest.fixture(scope="module")
def guest(station: Station) -> Iterator[TinyGuest]:
    made = station.ground.guests.make("patient", [DiskSpec(size=32 << 20), DiskSpec("raw", size=32 << 20)])
    yield made
    station.ground.guests.remove(made)


@pytest.fixture
def doctor(station: Station) -> Doctor:
    return Doctor(station.service.runtime)


def bad(report: Report) -> dict[str, str]:
    """What warns or fails: the reason by the check's id."""
    return {
        result.check.id: result.finding.reason
        for result in report.results
        if result.finding.status in (Status.WARN, Status.FAIL)
    }


def test_a_vm_that_is_well_passes_everything(doctor: Doctor, guest: TinyGuest, item: ProtectedItem) -> None:
    assert item.is_active
    report = doctor.examine(guest.name)
    assert report.worst is Status.PASS, bad(report)
    assert doctor.examine(guest.name.upper()).vm == guest.name
    assert len(report.results) >= 30


def test_a_vm_nobody_knows_is_not_found(doctor: Doctor) -> None:
    with pytest.raises(NotFound, match="neither"):
        doctor.examine("nobody")


def test_a_stopped_agent_is_found(doctor: Doctor, guest: TinyGuest, item: ProtectedItem) -> None:
    doctor.examine(guest.name)
    guest.stop_agent()
    try:
        found = bad(doctor.examine(guest.name))
    finally:
        guest.resume_agent()
    assert found == {"H2.5": "silent", "H2.13": "state", "H5.8": "silent"}


def test_a_frozen_guest_is_found(doctor: Doctor, guest: TinyGuest, item: ProtectedItem) -> None:
    guest.agent.command("guest-fsfreeze-freeze")
    try:
        found = bad(doctor.examine(guest.name))
    finally:
        guest.agent.command("guest-fsfreeze-thaw")
    assert found == {"X2.1": "frozen"}


def test_a_guest_that_waits_for_a_reboot_with_a_wrong_clock_is_found(
    doctor: Doctor, guest: TinyGuest, item: ProtectedItem
) -> None:
    guest.agent.check("touch /run/reboot-required; date > /run/then; date -s @$(($(date +%s) - 90000))")
    try:
        found = bad(doctor.examine(guest.name))
    finally:
        guest.agent.check("rm /run/reboot-required; date -s @$(($(date +%s) + 90000))")
    assert found == {"H1.3": "pending", "X1.2": "off"}


def test_a_paused_vm_is_found(doctor: Doctor, guest: TinyGuest, item: ProtectedItem) -> None:
    guest.domain.suspend()
    try:
        found = bad(doctor.examine(guest.name))
    finally:
        guest.domain.resume()
    assert found == {"H1.1": "paused", "H5.7": "paused"}


def test_a_foreign_snapshot_and_a_block_job_are_found(
    doctor: Doctor, guest: TinyGuest, item: ProtectedItem, image_directory: Path
) -> None:
    top = image_directory / "foreign.qcow2"
    disks = (
        f"<disk name='vda' snapshot='external'><source file='{top}'/></disk><disk name='vdb' snapshot='no'/>"
    )
    flags = libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY
    snapshot = guest.domain.snapshotCreateXML(
        f"<domainsnapshot><name>theirs</name><disks>{disks}</disks></domainsnapshot>", flags
    )
    try:
        assert bad(doctor.examine(guest.name)) == {"X4.3": "on_top"}
        commit = libvirt.VIR_DOMAIN_BLOCK_COMMIT_ACTIVE | libvirt.VIR_DOMAIN_BLOCK_COMMIT_SHALLOW
        guest.domain.blockCommit("vda", None, str(top), 0, commit)
        wait_until(lambda: bool(guest.domain.blockJobInfo("vda")), "the block job does not show")
        assert bad(doctor.examine(guest.name)) == {"X4.3": "on_top", "X4.4": "stale"}
        wait_until(lambda: _pivoted(guest), "the block job does not become ready")
        assert bad(doctor.examine(guest.name)) == {"X4.3": "kept"}
    finally:
        snapshot.delete(libvirt.VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY)
    assert bad(doctor.examine(guest.name)) == {}


def _pivoted(guest: TinyGuest) -> bool:
    try:
        guest.domain.blockJobAbort("vda", libvirt.VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT)
    except libvirt.libvirtError:
        return False
    return True


def test_a_vault_that_is_away_or_damaged_is_found(
    station: Station, doctor: Doctor, guest: TinyGuest, item: ProtectedItem
) -> None:
    place = Path(station.vault.url.removeprefix("file://"))
    away = place.with_name("away")
    place.rename(away)
    station.service.runtime.vaults.forget(station.vault.id)
    try:
        assert bad(doctor.examine(guest.name)) == {"X4.5": "away"}
    finally:
        away.rename(place)
    (manifest,) = [path for path in place.rglob("*") if path.is_file() and "manifest" in str(path)]
    whole = manifest.read_bytes()
    manifest.chmod(0o600)
    manifest.write_bytes(whole[:-1])
    try:
        assert bad(doctor.examine(guest.name)) == {"X4.6": "damaged"}
    finally:
        manifest.write_bytes(whole)
    assert bad(doctor.examine(guest.name)) == {}


def test_without_libvirt_the_rest_is_told(station: Station, guest: TinyGuest, item: ProtectedItem) -> None:
    nowhere = Hypervisor("qemu+unix:///system?socket=/nonexistent")
    report = Doctor(replace(station.service.runtime, hypervisor=nowhere)).examine(guest.name)
    assert bad(report) == {"X1.1": "away"}
    told = {result.check.id for result in report.results if result.finding.status is Status.PASS}
    assert {"X4.5", "X4.6", "X4.7", "H5.2"} <= told
    assert collect(replace(station.service.runtime, hypervisor=nowhere), guest.name).vm == guest.name


def test_a_libvirt_that_hangs_is_not_waited_for(
    station: Station, guest: TinyGuest, item: ProtectedItem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(LIMITS_S, Source.LIBVIRT, 0.3)
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(str(tmp_path / "mute"))
        mute.listen()
        hanging = Hypervisor(f"qemu+unix:///system?socket={tmp_path / 'mute'}")
        report = Doctor(replace(station.service.runtime, hypervisor=hanging)).examine(guest.name)
    assert bad(report) == {"X1.1": "away"}
    reasons = [result.why for result in report.results if result.finding.status is Status.UNKNOWN]
    assert reasons and all("No answer" in reason for reason in reasons)


def test_a_vm_that_is_off_is_well_and_one_that_is_gone_is_found(
    station: Station, doctor: Doctor, guest: TinyGuest, item: ProtectedItem
) -> None:
    guest.shutdown()
    assert bad(doctor.examine(guest.name)) == {}
    other = station.ground.guests.make("gone", [DiskSpec(size=16 << 20)], start=False)
    station.protect(other)
    assert bad(doctor.examine(other.name)) == {}
    station.ground.guests.remove(other)
    assert bad(doctor.examine(other.name)) == {"H1.1": "gone"}
