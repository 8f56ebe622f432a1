"""Scheduled backups that fail over something a machine may mend: mended, tried again, and told."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import libvirt
import pytest

from overwinter.codebook import book
from overwinter.jobs import engine
from overwinter.jobs.repairs import REPAIRS, chains
from overwinter.jobs.repairs import guest as guest_repairs
from overwinter.model.default_policies import standard_content
from overwinter.model.extension import Extension
from overwinter.model.job import Job, JobStatus
from overwinter.model.point import Consistency
from overwinter.model.protection import ProtectedItem
from testkit.disks import MIB, DiskSpec
from testkit.domains import TinyGuest
from testkit.station import Station
from testkit.waiting import wait_until

pytestmark = pytest.mark.libvirt

MENDING = replace(
    standard_content(), extension=Extension(Consistency.FILE_SYSTEM, retries=0, automatic_repair=True)
)


@pytest.fixture(autouse=True)
def _little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chains, "STALE_S", 1.0)


@pytest.fixture(scope="module")
def guest(station: Station) -> Iterator[TinyGuest]:
    made = station.ground.guests.make(f"repair-{uuid4().hex[:6]}", [DiskSpec()])
    yield made
    station.ground.guests.remove(made)


@pytest.fixture(scope="module")
def item(station: Station, guest: TinyGuest) -> ProtectedItem:
    return station.protect(guest, station.put_policy("Mending", MENDING))


def mended(job: Job) -> list[str]:
    """The repairs that the job's report tells of, all of which worked."""
    told = [] if job.report is None else job.report["repairs"]
    assert isinstance(told, list) and all(each["failure"] is None for each in told), told
    return [each["repair"] for each in told]


def test_every_repair_of_the_code_book_is_there() -> None:
    """But for ``backup``: that is the next backup."""
    known = {remedy.repair for remedy in book.remedies().values()} - {None, "backup"}
    assert known == {repair.id for repair in REPAIRS}
    assert len({repair.id for repair in REPAIRS}) == len(REPAIRS)


def test_a_guest_that_somebody_left_frozen(station: Station, guest: TinyGuest, item: ProtectedItem) -> None:
    guest.agent.command("guest-fsfreeze-freeze")
    (finding,) = station.service.plan_repairs(item)
    assert finding.repair == "thaw" and guest.agent.command("guest-fsfreeze-status") == "frozen"
    job = station.completed(station.service.repair(item))
    assert mended(job) == ["thaw"]
    assert guest.agent.command("guest-fsfreeze-status") == "thawed"
    assert not station.service.plan_repairs(item)
    assert station.completed(station.service.repair(item)).report is None


def begin_copy(station: Station, guest: TinyGuest) -> None:
    """Copy the disk, and leave the job behind when it is done."""
    copy = station.directory / f"copy-{uuid4().hex[:6]}.qcow2"
    target = f'<disk type="file"><driver type="qcow2"/><source file="{copy}"/></disk>'
    guest.domain.blockCopy("vda", target, flags=libvirt.VIR_DOMAIN_BLOCK_COPY_TRANSIENT_JOB)
    wait_until(
        lambda: (info := guest.domain.blockJobInfo("vda")) and info["cur"] == info["end"], "not copied", 60
    )


def test_a_block_job_that_was_left_behind(station: Station, guest: TinyGuest, item: ProtectedItem) -> None:
    begin_copy(station, guest)
    job = station.scheduled_backup(item)
    assert (job.status, mended(job)) == (JobStatus.COMPLETED, ["block-job-abort"]), job.errors
    assert not guest.domain.blockJobInfo("vda")


def test_a_backup_is_tried_once_more_after_repairs_and_no_more(
    station: Station, guest: TinyGuest, item: ProtectedItem, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under the block job there is a second failure that nobody can mend."""
    tries = []
    monkeypatch.setattr(engine, "place", lambda name: tries.append(name))
    monkeypatch.setattr(guest_repairs, "_START_S", 1.0)
    begin_copy(station, guest)
    guest.stop_agent()
    job = station.scheduled_backup(item)
    guest.resume_agent()
    assert (job.status, tries) == (JobStatus.FAILED, ["backup.preflight"] * 2)
    assert job.report is not None and job.report["tried_again"] is True
    told = job.report["repairs"]
    assert isinstance(told, list)
    assert [each["repair"] for each in told if each["failure"] is None] == ["block-job-abort"]


def test_a_definition_that_names_an_image_below_the_overlays(
    station: Station, guest: TinyGuest, item: ProtectedItem
) -> None:
    station.backup(item)
    overlay, *below = guest.chain("vda")
    xml = guest.domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    guest.domain.connect().defineXML(xml.replace(str(overlay), str(below[-1])))
    job = station.scheduled_backup(item)
    assert (job.status, mended(job)) == (JobStatus.COMPLETED, ["overlay-adopt"]), job.errors
    assert str(guest.chain("vda")[0]) in guest.domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)


def test_nothing_is_mended_that_works(station: Station, guest: TinyGuest, item: ProtectedItem) -> None:
    job = station.scheduled_backup(item)
    assert (job.status, job.report) == (JobStatus.COMPLETED, None)
    guest.domain.suspend()  # by a person, on purpose
    job = station.scheduled_backup(item)
    guest.domain.resume()
    assert (job.status, job.report) == (JobStatus.FAILED, None)


@pytest.fixture
def small_disk(station: Station) -> Iterator[Path]:
    """A file system of 24 MiB that can be given more room."""
    place = station.directory / f"small-{uuid4().hex[:6]}"
    place.mkdir(mode=0o755)
    with ExitStack() as stack:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m,mode=755", "tmpfs", place], check=True)
        stack.callback(subprocess.run, ["umount", "--lazy", place], check=True)
        yield place


def test_a_vm_paused_by_a_full_disk_runs_on_once_there_is_room(station: Station, small_disk: Path) -> None:
    guest = station.ground.guests.make(f"full-{uuid4().hex[:6]}", [DiskSpec(size=128 * MIB)], start=False)
    image = guest.disks["vda"]
    moved = small_disk / image.name
    subprocess.run(["cp", "--sparse=always", image, moved], check=True)
    image.unlink()
    guest.domain.connect().defineXML(guest.domain.XMLDesc().replace(str(image), str(moved)))
    guest.disks["vda"] = moved
    guest.start()
    item = station.protect(guest, station.put_policy("Mending", MENDING))
    guest.agent.command(
        "guest-exec", path="/bin/sh", arg=["-c", "dd if=/dev/urandom of=/mnt/vda/much bs=1M count=60; sync"]
    )
    wait_until(lambda: guest.domain.state()[0] == libvirt.VIR_DOMAIN_PAUSED, "the disk is not full", 60)

    job = station.scheduled_backup(item)
    assert (job.status, job.report) == (JobStatus.FAILED, None), "without room it would pause again at once"
    assert job.errors[0].code == "UserErrorVmProvisioningStateFailed"

    subprocess.run(["mount", "-o", "remount,size=4g", small_disk], check=True)
    job = station.scheduled_backup(item)
    assert mended(job) == ["vm-resume"]
    assert job.status is JobStatus.COMPLETED, job.errors
    station.ground.guests.remove(guest)
