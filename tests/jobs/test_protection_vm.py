"""A real VM through the life of protection: some disks only, another name, another vault, and gone."""

from uuid import uuid4

import pytest

from overwinter.jobs import follow
from overwinter.model.disk_selection import DiskSelection
from overwinter.model.errors import NotFound
from overwinter.model.point import RecoveryPoint, Tier
from overwinter.model.protection import ProtectedItem, ProtectionState
from testkit.disks import MIB, DiskSpec, convert, first_difference
from testkit.domains import TinyGuest
from testkit.station import Station

pytestmark = pytest.mark.libvirt

TARGETS = ("vda", "vdb", "vdc")


def depths(guest: TinyGuest) -> tuple[int, ...]:
    """How many images each disk consists of."""
    return tuple(len(guest.chain(target)) for target in TARGETS)


def choose(station: Station, guest: TinyGuest, disks: DiskSelection) -> None:
    machine = station.service.machine(guest.name)
    station.completed(station.service.protect(station.vault, machine, "DefaultPolicy", disks))


def targets(station: Station, point: RecoveryPoint) -> tuple[list[str], list[tuple[str, int]]]:
    held = [disk.target for disk in station.service.manifest_disks(point)]
    return held, station.service.left_out_disks(point)


def test_some_disks_another_name_and_gone(station: Station) -> None:
    specs = [DiskSpec(form, size=32 * MIB) for form in ("qcow2", "raw", "qcow2")]
    guest = station.ground.guests.make(f"life-{uuid4().hex[:6]}", specs)
    choose(station, guest, DiskSelection((1,)))
    item = station.service.item(station.vault, guest.name)

    # The excluded disk is left alone: no overlay, not in the point, not in the restored VM.
    first = station.backup(item)
    assert depths(guest) == (2, 2, 1)
    assert targets(station, first) == (["vda", "vdb"], [("vdc", 1)])
    station.check_restore(first, {target: station.truth(guest, target) for target in ("vda", "vdb")})

    # A change counts from the next backup on; what is new is read in full, the rest is not.
    choose(station, guest, DiskSelection((1,), included=True))
    second = station.backup(item)
    assert depths(guest) == (3, 2, 2), "the raw disk goes on in the overlay it has"
    assert targets(station, second) == (["vda", "vdc"], [("vdb", 0)])
    assert targets(station, first) == (["vda", "vdb"], [("vdc", 1)])
    choose(station, guest, DiskSelection())
    assert targets(station, station.backup(item)) == (list(TARGETS), [])

    # Another name: the same VM by its UUID, and the chain goes on.
    guest.shutdown()
    old_name, new_name = guest.name, station.ground.run.domain_name(f"renamed-{uuid4().hex[:6]}")
    guest.domain.rename(new_name)
    follow.all_machines(station.service._runtime)
    with pytest.raises(NotFound):
        station.service.item(station.vault, old_name)
    renamed = station.service.item(station.vault, new_name)
    assert renamed.id == item.id
    fourth = station.backup(renamed)
    assert fourth.incremental and fourth.bytes_read < 8 * MIB
    assert len(station.service.recovery_points(renamed)) == 4
    truths = {target: station.truth(guest, target) for target in TARGETS}

    moved = _to_another_vault_and_back(station, guest, renamed)

    # The VM is deleted: what is protected says so, and everything can still be restored.
    guest.domain.undefine()
    with pytest.raises(NotFound) as refused:
        station.service.backup(moved, expires=None)
    assert refused.value.code == "BCMV2VMNotFound"
    gone = station.service.item(station.vault, new_name)
    assert gone.missing_since is not None and gone.is_active
    station.check_restore(station.service.recovery_point(gone, fourth.id), truths)


def _to_another_vault_and_back(station: Station, guest: TinyGuest, item: ProtectedItem) -> ProtectedItem:
    """Protected elsewhere, the old vault's data is deleted: the VM's chain is not touched by that."""
    service = station.service
    originals = [guest.disks[target] for target in TARGETS]
    truth = station.truth(guest, "vda")
    station.completed(service.protection.stop(item, expire=True))
    assert service.item(station.vault, guest.name).state is ProtectionState.SUSPENDED
    assert [guest.chain(target) for target in TARGETS] == [[path] for path in originals]
    flat = station.directory / "flat.raw"
    convert(guest.disks["vda"], "qcow2", flat)
    assert first_difference(truth, flat) is None, "left as it was found"

    other = service.vaults.create(f"other-{uuid4().hex[:6]}", "default")
    station.completed(service.protect(other, service.machine(guest.name), "DefaultPolicy"))
    point = station.backup(service.item(other, guest.name))
    suspended = service.item(station.vault, guest.name)
    station.completed(service.protection.delete_data(suspended))
    assert depths(guest) == (2, 2, 2), "the chain belongs to the other vault's protection"
    assert service.recovery_point(service.item(other, guest.name), point.id).tier is Tier.SNAPSHOT_AND_VAULT
    station.completed(service.protection.stop(service.item(other, guest.name)))
    assert depths(guest) == (1, 1, 1)

    station.completed(service.protection.undelete(service.item(station.vault, guest.name)))
    station.completed(service.protect(station.vault, service.machine(guest.name), "DefaultPolicy"))
    back = service.item(station.vault, guest.name)
    assert back.state is ProtectionState.PROTECTED and len(service.recovery_points(back)) == 4
    return back
