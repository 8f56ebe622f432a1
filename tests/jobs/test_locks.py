"""Locks on real chains: what they stop, what they must not stop, and that the files follow them."""

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import libvirt
import pytest

from overwinter.catalog import locks, merges
from overwinter.catalog.database import Catalog
from overwinter.catalog.merges import Merge
from overwinter.images.immutable import is_protected
from overwinter.jobs import shield
from overwinter.jobs.start import open_service
from overwinter.model.default_policies import new_policy, standard_content
from overwinter.model.errors import LockNotFound, ResourceGroupNotFound, ScopeLocked
from overwinter.model.job import JobStatus
from overwinter.model.lock import Lock, LockLevel, LockScope
from overwinter.model.point import Tier
from overwinter.model.protection import ProtectedItem
from overwinter.model.settings import Settings
from testkit.disks import MIB, DiskSpec, realistic_data, write_image
from testkit.domains import TinyGuest
from testkit.ground import Ground
from testkit.station import Station, open_station

pytestmark = pytest.mark.libvirt

GROUP = LockScope("AzureBackupRG_local_1")
KEEP, FREEZE = LockLevel.CAN_NOT_DELETE, LockLevel.READ_ONLY


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


def stopped(station: Station, *formats: str, agent: bool = True) -> TinyGuest:
    specs = [DiskSpec(form, size=4 * MIB, file_system=False) for form in formats or ("qcow2",)]
    return station.ground.guests.make(f"lock-{uuid4().hex[:6]}", specs, agent=agent, start=False)


def scope_of(station: Station, item: ProtectedItem) -> LockScope:
    (found,) = [
        each.collection
        for each in station.service.points.collections()
        if each.collection.vm_uuid == item.vm_uuid
    ]
    return LockScope(found.resource_group, found.name)


def flagged(guest: TinyGuest, target: str = "vda") -> list[bool]:
    return [is_protected(str(path)) for path in guest.chain(target)]


def test_a_vm_lives_on_over_locked_files(station: Station) -> None:
    """It starts, is backed up, stops and starts again, though libvirt cannot relabel the files any more."""
    guest = stopped(station, "raw", "qcow2", agent=False)
    for path in guest.disks.values():
        path.chmod(0o600)
        os.chown(path, 0, 0)
    item = station.protect(guest)
    station.backup(item)
    scope = scope_of(station, item)
    station.service.points.put_lock(scope, "keep", KEEP, None)
    assert flagged(guest, "vda") == flagged(guest, "vdb") == [False, True]
    write_image(guest.chain("vda")[0], "qcow2", [(MIB, realistic_data(MIB, seed=1))])
    guest.domain.create()
    point = station.backup(item, expected=("UserErrorGuestAgentStatusUnavailable",))
    truth = {target: station.truth(guest, target) for target in ("vda", "vdb")}
    assert flagged(guest) == [False, True, True]
    assert point.incremental, "the flag leaves increments alone"
    top, middle, bottom = guest.chain("vda")
    with pytest.raises(libvirt.libvirtError, match="Operation not permitted"):
        guest.domain.blockCommit("vda", str(bottom), str(middle))
    assert guest.chain("vda") == [top, middle, bottom]
    guest.destroy()
    guest.domain.create()
    assert guest.domain.isActive()
    station.check_restore(point, truth)

    with pytest.raises(ScopeLocked, match="keep"):
        station.service.unprotect(item, delete_data=False)
    with pytest.raises(ScopeLocked, match=scope.collection):
        station.service.points.delete_points(scope.resource_group, str(scope.collection))

    station.service.points.delete_lock(scope, "keep")
    assert flagged(guest) == [False, False, False]
    station.completed(station.service.unprotect(item, delete_data=False))
    assert guest.chain("vda") == [guest.disks["vda"]]
    assert station.service.recovery_point(item, point.id).tier is Tier.VAULT
    guest.destroy()


def test_clean_up_stops_at_a_lock_on_the_group_of_the_vm(aged: Station, clock: Clock) -> None:
    guest = stopped(aged)
    item = aged.protect(guest)
    aged.backup(item)
    scope = LockScope("default")
    aged.service.points.put_lock(scope, "keep", KEEP, None)
    for _ in range(2):
        clock.now += timedelta(days=4)
        aged.backup(item)
    assert len(guest.chain("vda")) == 4 and flagged(guest) == [False, True, True, True]
    job = aged.ended(aged.service.points.clean_up(item))
    assert [error.code for error in job.errors] == [ScopeLocked.code]
    aged.service.points.delete_lock(scope, "KEEP")
    aged.completed(aged.service.points.clean_up(item))
    assert len(guest.chain("vda")) == 2 and flagged(guest) == [False, False]


def test_read_only_takes_no_new_points(aged: Station) -> None:
    guest = stopped(aged)
    item = aged.protect(guest)
    aged.backup(item)
    before = guest.chain("vda")
    aged.service.points.put_lock(GROUP, "freeze", FREEZE, None)
    job = aged.ended(aged.service.backup(item, expires=None))
    assert (job.status, [error.code for error in job.errors]) == (JobStatus.FAILED, [ScopeLocked.code])
    assert guest.chain("vda") == before
    # The same lock, less strict.
    aged.service.points.put_lock(GROUP, "Freeze", KEEP, "only against deletion")
    (lock,) = aged.service.points.locks()
    assert (lock.name, lock.level, lock.notes) == ("freeze", KEEP, "only against deletion")
    # A point that does not reach the vault is locked as well.
    vault = Path(aged.vault.url.removeprefix("file://"))
    vault.rename(vault.with_suffix(".away"))
    vault.touch()
    job = aged.ended(aged.service.backup(item, expires=None))
    vault.unlink()
    vault.with_suffix(".away").rename(vault)
    assert job.status is JobStatus.COMPLETED_WITH_WARNINGS
    assert flagged(guest) == [False, True, True]
    # What a lock on the group of a vault means for the vault.
    aged.service.points.put_lock(LockScope("default"), "vaults", KEEP, None)
    with pytest.raises(ScopeLocked, match="Vault vault1"):
        aged.service.vaults.delete("vault1")


def test_a_lock_is_put_on_what_exists(aged: Station) -> None:
    with pytest.raises(ResourceGroupNotFound):
        aged.service.points.put_lock(GROUP, "keep", KEEP, None)
    with pytest.raises(LockNotFound):
        aged.service.points.delete_lock(LockScope("default"), "keep")
    aged.service.points.put_lock(LockScope("DEFAULT"), "keep", KEEP, None)
    assert aged.service.points.lock(LockScope("default"), "Keep").scope == LockScope("default")


def test_another_group_in_the_policy_begins_another_collection(aged: Station, clock: Clock) -> None:
    """Old points stay where they are, count with the new ones, and a lock on one group holds only these."""
    guest = stopped(aged)
    content = replace(standard_content(), group_prefix="kept-", group_suffix="-here")
    aged.service.put_policy(aged.vault, new_policy(uuid4(), aged.vault.id, "Named", content))
    item = aged.protect(guest)
    aged.backup(item)
    item = aged.protect(guest, "Named")
    for _ in range(2):
        clock.now += timedelta(hours=1)
        aged.backup(item)
    found = [each.collection for each in aged.service.points.collections()]
    assert [(each.resource_group, each.name) for each in found] == [
        ("AzureBackupRG_local_1", f"AzureBackupRG_{guest.name}_1"),
        ("kept-1-here", f"AzureBackupRG_{guest.name}_2"),
    ]
    aged.service.points.put_lock(LockScope("kept-1-here"), "keep", KEEP, None)
    clock.now += timedelta(days=4)
    aged.backup(item)
    # The old point is gone, and with it its collection; its layer belongs to locked points, too, and stays.
    (left,) = aged.service.points.collections()
    assert (left.collection.number, len(left.points)) == (2, 3)
    assert len(guest.chain("vda")) == 5
    aged.service.points.delete_lock(LockScope("kept-1-here"), "keep")
    aged.completed(aged.service.points.clean_up(item))
    assert len(guest.chain("vda")) == 2


def test_files_follow_locks_after_a_crash(ground: Ground) -> None:
    """A lock without its flags, flags without their lock: the next start puts it right."""
    settings = settings_for(ground)
    with open_service(elsewhere(settings)) as service:
        station = Station(ground, service, service.vaults.create("v1", "default"), settings.directory.parent)
        guest = stopped(station)
        item = station.protect(guest)
        station.backup(item)
        station.backup(item)
    catalog = Catalog(settings.catalog_url)
    lock = Lock(uuid4(), "keep", KEEP, None, datetime.now(UTC), GROUP)
    with catalog.transaction() as tx:
        locks.put(tx, lock)
    with open_service(elsewhere(settings)) as service:
        assert flagged(guest) == [False, True, True]
        # A lock that came in the middle of a merge: what is half merged must be finished.
        _, middle, bottom = guest.chain("vda")
        with catalog.transaction() as tx:
            merges.begin(tx, Merge(item.vm_uuid, "vda", str(middle), str(bottom)))
        shield.settle(service._runtime, item.vm_uuid)
        assert flagged(guest) == [False, False, False]
        with catalog.transaction() as tx:
            merges.forget(tx, item.vm_uuid)
        # An image that somebody put back into the definition is written to: it must stay free.
        overlay = guest.chain("vda")[0]
        xml = guest.domain.XMLDesc()
        guest.domain.connect().defineXML(xml.replace(str(overlay), str(bottom)))
        shield.settle(service._runtime, item.vm_uuid)
        assert [is_protected(str(path)) for path in (overlay, middle, bottom)] == [False, True, False]
    with catalog.transaction() as tx:
        locks.delete(tx, locks.get(tx, GROUP, "keep"))
    catalog.close()
    with open_service(elsewhere(settings)):
        assert not any(is_protected(str(path)) for path in (overlay, middle, bottom))


def elsewhere(settings: Settings) -> Settings:
    """The same state under another host's name: the engine takes each only once in a process."""
    return replace(settings, host=f"host-{uuid4().hex[:8]}")


def settings_for(ground: Ground) -> Settings:
    directory = ground.run.directory / f"locks-{uuid4().hex[:8]}"
    images = directory / "images"
    images.mkdir(mode=0o755, parents=True)
    return Settings(host="", directory=directory / "state", images=images)
