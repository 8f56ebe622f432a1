"""The life of restore points as the reference articles tell it: four stories, on a real stopped VM.

Arithmetic: 18 restore points are soon used up. Lock: a lock keeps them all, until no backup is taken any
more. Recovery: the lock goes, and step by step backups work again. Deletion: a whole collection by hand, and
a VM that is removed.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from overwinter.catalog import collections, items, points, policies, vaults
from overwinter.catalog.database import Catalog
from overwinter.catalog.points import MachineState
from overwinter.hypervisor.connection import Hypervisor
from overwinter.images.immutable import is_protected
from overwinter.jobs import preflight, prune
from overwinter.jobs.runtime import Runtime
from overwinter.jobs.vault_stores import VaultStores
from overwinter.model.default_policies import new_policy, standard_content
from overwinter.model.errors import RestorePointLimitReached, ScopeLocked
from overwinter.model.job import Job, JobOperation, JobStatus
from overwinter.model.lock import LockLevel, LockScope
from overwinter.model.names import SERVICE_PREFIX
from overwinter.model.point import Consistency, RestorePoint, RestorePointCollection, Tier
from overwinter.model.policy import MAX_RESTORE_POINTS, Policy
from overwinter.model.profile import OVERWINTER, SupportProfile, find_profile
from overwinter.model.protection import KeyKind, ProtectedItem, ProtectionState, Vault
from overwinter.model.settings import Settings
from testkit.disks import MIB, DiskSpec, realistic_data, write_image
from testkit.domains import TinyGuest
from testkit.ground import Ground
from testkit.station import Station, open_station
from testkit.waiting import wait_until

GROUP = LockScope(f"{SERVICE_PREFIX}local_1")
LIMIT = RestorePointLimitReached.code


class Clock:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 2, 30, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def next_day(self) -> None:
        self.now += timedelta(days=1)


# --- arithmetic -------------------------------------------------------------------------------------------


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    opened = Catalog(f"sqlite:///{tmp_path}/catalog.db")
    opened.migrate()
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("edition", "per_day", "days", "held"),
    [
        ("2021", 1, 5, 6),
        ("2021", 3, 5, 16),
        ("2021", 4, 5, None),
        ("2019", 4, 5, None),
        ("2018", 2, 2, 15),  # 7 days, whatever the policy says
        ("2018", 3, 2, None),
        ("overwinter", 4, 5, 17),
        ("overwinter", 9, 5, 17),
    ],
)
def test_arithmetic(catalog: Catalog, edition: str, per_day: int, days: int, held: int | None) -> None:
    """Backups a day times days of instant retention, and the one just taken: 18 and it is over.

    Ours lets go of the oldest that the vault holds too, and is never blocked.
    """
    clock = Clock()
    runtime = runtime_of(catalog, find_profile(edition), clock)
    item, policy = protected_in(catalog, days)
    most = 0
    try:
        for _ in range(9 * per_day):
            backup_on_paper(runtime, item, policy)
            with catalog.transaction() as tx:
                most = max(most, len(points.restore_points_of(tx, item.vm_uuid)))
            clock.now += timedelta(days=1) / per_day
    except RestorePointLimitReached:
        assert held is None and most == MAX_RESTORE_POINTS
    else:
        assert most == held


def runtime_of(catalog: Catalog, profile: SupportProfile, clock: Clock) -> Runtime:
    """A service's parts, without libvirt."""
    settings = Settings(host="paper", profile=profile)
    return Runtime(settings, catalog, Hypervisor(), VaultStores(settings.directory), clock)


def protected_in(catalog: Catalog, instant_days: int) -> tuple[ProtectedItem, Policy]:
    vault = Vault(uuid4(), "v", "default", "local", "file:///v", KeyKind.KEY_FILE, "/k", datetime.now(UTC))
    policy = new_policy(uuid4(), vault.id, "P", standard_content(instant_days=instant_days))
    item = ProtectedItem(
        uuid4(), vault.id, policy.id, uuid4(), "web01", "default", ProtectionState.PROTECTED, vault.created
    )
    with catalog.transaction() as tx:
        vaults.insert(tx, vault)
        policies.put(tx, policy)
        items.put(tx, item)
        collection = RestorePointCollection(
            uuid4(), f"{SERVICE_PREFIX}web01_1", GROUP.resource_group, item.vm_uuid
        )
        collections.insert(tx, collection)
    return item, policy


def backup_on_paper(runtime: Runtime, item: ProtectedItem, policy: Policy) -> None:
    """What a backup does to the catalog: preflight's count, the point, the clean-up after it."""
    if not runtime.settings.profile.makes_room:
        preflight.check_restore_points(runtime, item, policy)
    with runtime.catalog.transaction() as tx:
        collection = collections.of_machine(tx, item.vm_uuid)[0]
        now = runtime.clock()
        point = RestorePoint(uuid4(), collection.id, f"p{now}", now, Consistency.CRASH, None, ())
        points.insert_restore_point(tx, point, MachineState("<domain/>", None))
        for expired in prune.removable(tx, runtime, item, policy)[0]:
            points.delete_restore_point(tx, expired.id)
        assert len(points.restore_points_of(tx, item.vm_uuid)) <= MAX_RESTORE_POINTS


# --- lock, recovery, deletion: a real VM ------------------------------------------------------------------


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def edition_2021(ground: Ground, clock: Clock) -> Iterator[Station]:
    with open_station(ground, clock=clock, profile=find_profile("2021")) as opened:
        yield opened


@pytest.fixture
def ours(ground: Ground, clock: Clock) -> Iterator[Station]:
    with open_station(ground, clock=clock, profile=OVERWINTER) as opened:
        yield opened


def a_stopped_vm(station: Station) -> TinyGuest:
    name = f"ed-{uuid4().hex[:6]}"
    return station.ground.guests.make(name, [DiskSpec(size=4 * MIB, file_system=False)], start=False)


def failed_backup(station: Station, item: ProtectedItem) -> list[str]:
    job = station.ended(station.service.backup(item, expires=None))
    assert job.status is JobStatus.FAILED
    return [error.code for error in job.errors]


def points_of(station: Station) -> int:
    return sum(len(each.points) for each in station.service.points.collections())


def clean_ups(station: Station) -> list[Job]:
    """The clean-up jobs so far, ended, newest first."""
    found = [job for job in station.service.jobs() if job.operation is JobOperation.CLEAN_UP_POINTS]
    return [station.ended(job) for job in found]


def wait_for_clean_ups(station: Station, count: int) -> Job:
    wait_until(lambda: len(clean_ups(station)) == count, f"not {count} clean-up jobs")
    return clean_ups(station)[0]


@pytest.mark.libvirt
def test_a_lock_and_the_way_back(edition_2021: Station, clock: Clock) -> None:
    station, service = edition_2021, edition_2021.service
    guest = a_stopped_vm(station)
    item = station.protect(guest)
    station.backup(item)
    service.points.put_lock(GROUP, "keep", LockLevel.CAN_NOT_DELETE, "somebody meant well")

    # One backup a day, and nothing is ever cleaned up. Near the limit each backup warns.
    for _ in range(2, 14):
        clock.next_day()
        on_paper(station, item, clock.now)
    for day in range(14, MAX_RESTORE_POINTS + 1):
        clock.next_day()
        station.backup(item, expected=(ScopeLocked.code,) if day >= prune.NEAR_THE_LIMIT else ())
    assert points_of(station) == MAX_RESTORE_POINTS
    layers = guest.chain("vda")
    assert len(layers) == 7

    # The lock is more than a row: the frozen files cannot be removed, the one that the VM writes to can.
    assert [is_protected(str(path)) for path in layers] == [False] + [True] * 6
    with pytest.raises(PermissionError):
        layers[-1].unlink()

    # Day 19: no backup any more. The clean-up that follows is stopped by the lock and says so.
    clock.next_day()
    assert failed_backup(station, item) == [LIMIT]
    assert [error.code for error in wait_for_clean_ups(station, 1).errors] == [ScopeLocked.code]
    assert points_of(station) == MAX_RESTORE_POINTS

    # 1. The lock is removed. That alone deletes nothing.
    service.points.delete_lock(GROUP, "keep")
    assert points_of(station) == MAX_RESTORE_POINTS
    assert not any(is_protected(str(path)) for path in layers)
    # 2. A backup by hand fails once more, and starts the clean-up.
    assert failed_backup(station, item) == [LIMIT]
    # 3. The clean-up has run: what has expired is gone, and the chain is short.
    assert wait_for_clean_ups(station, 2).status is JobStatus.COMPLETED
    assert points_of(station) == 2
    assert len(guest.chain("vda")) == 3
    # 4. The next backup is taken.
    clock.next_day()
    station.backup(item)
    assert len(guest.chain("vda")) == 3


@pytest.mark.libvirt
def test_our_way_back_is_shorter(ours: Station, clock: Clock) -> None:
    """Ours cleans up before it counts: the first backup after the lock is taken."""
    guest = a_stopped_vm(ours)
    item = ours.protect(guest)
    ours.backup(item)
    for hours in range(1, MAX_RESTORE_POINTS):
        on_paper(ours, item, clock.now - timedelta(days=30, hours=hours))
    ours.service.points.put_lock(GROUP, "keep", LockLevel.CAN_NOT_DELETE, None)
    clock.next_day()
    assert failed_backup(ours, item) == [LIMIT]
    assert clean_ups(ours) == []
    ours.service.points.delete_lock(GROUP, "keep")
    ours.backup(item)
    assert points_of(ours) == 2


@pytest.mark.libvirt
def test_a_large_collection_is_deleted_in_the_background(ours: Station, clock: Clock) -> None:
    """The portal of the articles times out and has to be asked two or three times. This does not."""
    guest = a_stopped_vm(ours)
    item = ours.protect(guest)
    taken = []
    for day in range(2):
        write_image(guest.chain("vda")[0], "qcow2", [(day * MIB, realistic_data(MIB, seed=day))])
        taken.append((ours.backup(item), ours.truth(guest, "vda")))
        clock.now += timedelta(hours=6)
    for hours in range(1, 21):
        on_paper(ours, item, clock.now - timedelta(days=30, hours=hours))
    (content,) = ours.service.points.collections()
    where = (content.collection.resource_group, content.collection.name)

    first = ours.service.points.delete_points(*where)
    wait_until(lambda: points_of(ours) < 20, "the deletion does not advance")
    ours.service.cancel(first.id)
    assert ours.ended(first).status is JobStatus.CANCELLED
    left = points_of(ours)
    assert 0 < left < 20, "cancelled in the middle"

    second = ours.completed(ours.service.points.delete_points(*where))
    assert int(str(second.properties["restore_points_removed"])) == left
    assert ours.service.points.collections() == []
    assert guest.chain("vda") == [guest.disks["vda"]], "the VM has its own file again"
    for point, truth in taken:
        assert ours.service.recovery_point(item, point.id).tier is Tier.VAULT
        ours.check_restore(point, {"vda": truth})
    ours.backup(item)


@pytest.mark.libvirt
@pytest.mark.parametrize("disk_too", [False, True], ids=["definition-only", "with-its-disk"])
def test_points_outlive_their_vm(ours: Station, clock: Clock, disk_too: bool) -> None:
    guest = a_stopped_vm(ours)
    item = ours.protect(guest)
    for _ in range(2):
        point = ours.backup(item)
        clock.now += timedelta(hours=1)
    truth = ours.truth(guest, "vda")
    layers = guest.chain("vda")
    guest.domain.undefine()
    if disk_too:
        layers[0].unlink()
    (content,) = ours.service.points.collections()
    assert len(content.points) == 2
    ours.check_restore(point, {"vda": truth})

    # They expire like others; the newest stays.
    clock.now += timedelta(days=30)
    ours.completed(ours.service.points.clean_up(item))
    assert points_of(ours) == 1

    collection = content.collection
    ours.completed(ours.service.points.delete_points(collection.resource_group, collection.name))
    assert ours.service.points.collections() == []
    original = layers[-1]
    # The disk of a removed VM is its owner's; without its newest file it is one no more.
    assert [path for path in layers if path.exists()] == ([original] if disk_too else layers)


def on_paper(station: Station, item: ProtectedItem, created: datetime) -> None:
    """One more restore point of the newest chain, as a backup of an idle VM would have left it."""
    runtime = station.service._runtime
    with runtime.catalog.transaction() as tx:
        newest = points.restore_points_of(tx, item.vm_uuid)[-1]
        copy = replace(newest, id=uuid4(), name=f"AzureBackup_{created:%Y%m%d_%H%M%S}", created=created)
        points.insert_restore_point(tx, copy, MachineState("<domain/>", None))
