"""What a crash left and no job comes back to is put right when the service starts."""

import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from overwinter.catalog import captures, merges, points
from overwinter.catalog import jobs as job_table
from overwinter.catalog.captures import Capture
from overwinter.catalog.merges import Merge
from overwinter.hypervisor import inventory
from overwinter.hypervisor.overlay_capture import OverlayCapture
from overwinter.jobs.reconcile import settle_captures
from overwinter.jobs.runtime import Runtime
from overwinter.jobs.upkeep import Upkeep
from overwinter.model.errors import ChainUnexpected
from overwinter.model.job import Job, JobOperation
from testkit.disks import MIB, DiskSpec, realistic_data, write_image
from testkit.domains import TinyGuest
from testkit.station import Station

pytestmark = pytest.mark.libvirt


@pytest.fixture
def guest(station: Station) -> Iterator[TinyGuest]:
    disk = DiskSpec("qcow2", size=64 * MIB, file_system=False)
    made = station.ground.guests.make(f"settle-{uuid4().hex[:6]}", [disk], start=False)
    write_image(made.disks["vda"], "qcow2", [(0, realistic_data(8 * MIB, seed=1))])
    yield made
    station.ground.guests.remove(made)


def interrupted(runtime: Runtime, guest: TinyGuest, *, taken: bool) -> Path:
    """A snapshot that died with its job, before or after it was taken; gives the overlay."""
    method = OverlayCapture(runtime.hypervisor)
    machine = inventory.machine(runtime.hypervisor, guest.name)
    plan = method.plan(machine, uuid4(), None)
    note = Capture(plan.point_id, uuid4(), machine.uuid, machine.name, datetime.now(UTC), plan.disks)
    with runtime.catalog.transaction() as tx:
        captures.insert(tx, note)
    method.prepare(plan, 1)
    if taken:
        method.take(plan)
    return Path(plan.disks[0].overlay)


def open_notes(runtime: Runtime) -> list[Capture]:
    with runtime.catalog.transaction() as tx:
        return captures.every(tx)


def test_overlays_that_nobody_uses_are_removed(station: Station, guest: TinyGuest) -> None:
    runtime = station.service._runtime
    overlay = interrupted(runtime, guest, taken=False)
    assert overlay.exists()
    settle_captures(runtime)
    assert not overlay.exists() and not open_notes(runtime)
    assert guest.chain("vda") == [guest.disks["vda"]]


def test_an_overlay_in_use_goes_with_the_next_clean_up(station: Station, guest: TinyGuest) -> None:
    runtime = station.service._runtime
    item = station.protect(guest)
    overlay = interrupted(runtime, guest, taken=True)
    write_image(overlay, "qcow2", [(MIB, realistic_data(MIB, seed=2))])
    settle_captures(runtime)
    assert guest.chain("vda") == [overlay, guest.disks["vda"]] and not open_notes(runtime)
    point = station.backup(item)
    assert len(guest.chain("vda")) == 2 and not overlay.exists()
    station.check_restore(point, {"vda": station.truth(guest, "vda")})


def test_what_only_qemu_has_written_to_is_kept_and_stops_backups_until_it_is_merged(
    station: Station, guest: TinyGuest
) -> None:
    runtime = station.service._runtime
    item = station.protect(guest)
    overlay = interrupted(runtime, guest, taken=False)
    write_image(overlay, "qcow2", [(MIB, realistic_data(MIB, seed=2))])  # behind libvirt's back
    settle_captures(runtime)
    job = station.ended(station.service.backup(item, expires=None))
    assert [error.code for error in job.errors] == [ChainUnexpected.code]
    assert overlay.exists() and len(open_notes(runtime)) == 1
    subprocess.run(["qemu-img", "commit", "-q", "-f", "qcow2", overlay], check=True)  # as the error says
    point = station.backup(item)
    assert not overlay.exists() and not open_notes(runtime)
    station.check_restore(point, {"vda": station.truth(guest, "vda")})


def test_a_vm_that_is_no_more(station: Station, guest: TinyGuest) -> None:
    runtime = station.service._runtime
    overlay = interrupted(runtime, guest, taken=False)
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
