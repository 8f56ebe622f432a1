"""What a crash left and no job comes back to is put right when the service starts."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from overwinter.catalog import captures
from overwinter.catalog.captures import Capture
from overwinter.hypervisor import inventory
from overwinter.hypervisor.overlay_capture import OverlayCapture
from overwinter.jobs.reconcile import settle_captures
from overwinter.jobs.runtime import Runtime
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


def test_a_vm_that_is_no_more(station: Station, guest: TinyGuest) -> None:
    runtime = station.service._runtime
    overlay = interrupted(runtime, guest, taken=False)
    definition = guest.domain.XMLDesc()
    guest.domain.undefine()
    settle_captures(runtime)
    station.ground.connection.defineXML(definition)
    assert not overlay.exists() and not open_notes(runtime)
