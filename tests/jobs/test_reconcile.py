"""What a crash left and no job comes back to is put right when the service starts."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from overwinter.catalog import captures, merges, points
from overwinter.catalog import jobs as job_table
from overwinter.catalog.captures import Capture
from overwinter.catalog.merges import Merge
from overwinter.hypervisor.overlay_capture import OverlayCapture
from overwinter.jobs.reconcile import settle_captures
from overwinter.jobs.runtime import Runtime
from overwinter.jobs.upkeep import Upkeep
from overwinter.model.errors import ChainUnexpected
from overwinter.model.job import Job, JobOperation
from testkit.disks import MIB, DiskSpec, realistic_data, write_image
from testkit.domains import TinyGuest
from testkit.lost_snapshot import interrupted, snapshot_behind_libvirt
from testkit.station import Station

pytestmark = pytest.mark.libvirt


@pytest.fixture
def guest(station: Station) -> Iterator[TinyGuest]:
    disk = DiskSpec("qcow2", size=64 * MIB, file_system=False)
    made = station.ground.guests.make(f"settle-{uuid4().hex[:6]}", [disk], start=False)
    write_image(made.disks["vda"], "qcow2", [(0, realistic_data(8 * MIB, seed=1))])
    yield made
    station.ground.guests.remove(made)


def open_notes(runtime: Runtime) -> list[Capture]:
    with runtime.catalog.transaction() as tx:
        return captures.every(tx)


def test_overlays_that_nobody_uses_are_removed(station: Station, guest: TinyGuest) -> None:
    runtime = station.service._runtime
    overlay = Path(interrupted(runtime, guest.name).disks[0].overlay)
    assert overlay.exists()
    settle_captures(runtime)
    assert not overlay.exists() and not open_notes(runtime)
    assert guest.chain("vda") == [guest.disks["vda"]]


def test_an_overlay_in_use_goes_with_the_next_clean_up(station: Station, guest: TinyGuest) -> None:
    runtime = station.service._runtime
    item = station.protect(guest)
    plan = interrupted(runtime, guest.name)
    OverlayCapture(runtime.hypervisor).take(plan)
    overlay = Path(plan.disks[0].overlay)
    write_image(overlay, "qcow2", [(MIB, realistic_data(MIB, seed=2))])
    settle_captures(runtime)
    assert guest.chain("vda") == [overlay, guest.disks["vda"]] and not open_notes(runtime)
    point = station.backup(item)
    assert len(guest.chain("vda")) == 2 and not overlay.exists()
    station.check_restore(point, {"vda": station.truth(guest, "vda")})


def test_overlays_that_only_qemu_knows_are_taken_back_within_a_minute_or_by_a_backup(
    station: Station,
) -> None:
    runtime = station.service._runtime
    upkeep = Upkeep(runtime, station.service.vaults, station.service.points)
    guest = station.ground.guests.make(f"lost-{uuid4().hex[:6]}", [DiskSpec("qcow2", size=64 * MIB)])
    item = station.protect(guest)
    for only_opened in (True, False):
        plan = interrupted(runtime, guest.name)
        snapshot_behind_libvirt(guest.domain, plan, only_opened=only_opened)
        guest.agent.check("echo lost >/mnt/vda/f; sync")
        if not only_opened:
            upkeep.look()
            assert not Path(plan.disks[0].overlay).exists() and not open_notes(runtime)
        point = station.backup(item)
        assert not Path(plan.disks[0].overlay).exists() and not open_notes(runtime)
        guest.agent.check("test $(cat /mnt/vda/f) = lost")
        station.check_restore(point, {"vda": station.truth(guest, "vda")})
    station.ground.guests.remove(guest)


def test_what_a_vm_that_is_off_has_in_a_lost_overlay_is_kept_and_stops_backups(
    station: Station, guest: TinyGuest
) -> None:
    runtime = station.service._runtime
    item = station.protect(guest)
    overlay = Path(interrupted(runtime, guest.name).disks[0].overlay)
    write_image(overlay, "qcow2", [(MIB, realistic_data(MIB, seed=2))])  # behind libvirt's back
    told: dict[UUID, str] = {}
    settle_captures(runtime, told)
    (reason,) = told.values()
    assert "Before it starts again" in reason
    job = station.ended(station.service.backup(item, expires=None))
    assert [error.code for error in job.errors] == [ChainUnexpected.code]
    assert overlay.exists() and len(open_notes(runtime)) == 1
    subprocess.run(["qemu-img", "commit", "-q", "-f", "qcow2", overlay], check=True)  # as the error says
    point = station.backup(item)
    assert not overlay.exists() and not open_notes(runtime)
    station.check_restore(point, {"vda": station.truth(guest, "vda")})


def test_a_vm_that_is_no_more(station: Station, guest: TinyGuest) -> None:
    runtime = station.service._runtime
    overlay = Path(interrupted(runtime, guest.name).disks[0].overlay)
    definition = guest.domain.XMLDesc()
    guest.domain.undefine()
    settle_captures(runtime)
    station.ground.connection.defineXML(definition)
    assert not overlay.exists() and not open_notes(runtime)


def test_a_merge_that_was_cut_off_is_finished_without_a_backup(station: Station, guest: TinyGuest) -> None:
    runtime = station.service._runtime
    item = station.protect(guest)
    old, _new = station.backup(item), station.backup(item)
    truth = station.truth(guest, "vda")
    _top, lowest, original = guest.chain("vda")
    upkeep = Upkeep(runtime, station.service.vaults, station.service.points)
    upkeep.look()
    assert not clean_up_jobs(station), "nothing was cut off"
    with runtime.catalog.transaction() as tx:
        assert old.restore_point is not None
        points.delete_restore_point(tx, old.restore_point)
        merges.begin(tx, Merge(item.vm_uuid, "vda", str(lowest), str(original)))
    upkeep.look()
    upkeep.look()  # the job is under way or done: no second one
    (job,) = clean_up_jobs(station)
    station.completed(job)
    assert len(guest.chain("vda")) == 2 and not lowest.exists()
    station.check_restore(station.service.recovery_points(item)[-1], {"vda": truth})


def clean_up_jobs(station: Station) -> list[Job]:
    with station.service._runtime.catalog.transaction() as tx:
        return [job for job in job_table.every(tx) if job.operation is JobOperation.CLEAN_UP_POINTS]
