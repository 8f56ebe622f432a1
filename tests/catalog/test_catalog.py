"""The catalog keeps what it is given, on every database it supports, and its migrations make its tables."""

import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext

from overwinter import catalog as catalog_room
from overwinter.catalog import (
    captures,
    collections,
    guest_agents,
    items,
    jobs,
    merges,
    points,
    policies,
    schedules,
    settings,
    tracks,
    vaults,
)
from overwinter.catalog.captures import Capture
from overwinter.catalog.database import Catalog
from overwinter.catalog.merges import Merge
from overwinter.catalog.points import MachineState
from overwinter.catalog.tables import metadata
from overwinter.catalog.tracks import Track
from overwinter.model.agent import GuestSystem, LastSeen
from overwinter.model.default_policies import default_policies, new_policy, standard_content
from overwinter.model.disk_selection import EVERY_DISK
from overwinter.model.errors import (
    AlreadyExists,
    BackupOperationInProgress,
    CatalogUnavailable,
    NotFound,
    ProtectedInAnotherVault,
)
from overwinter.model.job import Job, JobError, JobOperation, JobStatus, Task, TaskStatus
from overwinter.model.long_term import RuleName
from overwinter.model.point import (
    Consistency,
    DiskCapture,
    RecoveryPoint,
    RestorePoint,
    RestorePointCollection,
    Tier,
)
from overwinter.model.policy import DEFAULT_POLICY
from overwinter.model.protection import KeyKind, ProtectedItem, ProtectionState, Vault
from overwinter.model.vault_rules import Immutability, SoftDelete, VaultRules

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def catalog(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Catalog]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/catalog.db"
    else:
        url = request.getfixturevalue("postgres_url")
    opened = Catalog(url)
    opened.migrate()
    yield opened
    opened.close()


def a_vault(name: str = "vault1") -> Vault:
    return Vault(uuid4(), name, "default", "local", "file:///v", KeyKind.KEY_FILE, "/k", NOW)


def an_item(vault: Vault, policy_id: UUID, vm: UUID | None = None) -> ProtectedItem:
    return ProtectedItem(
        uuid4(), vault.id, policy_id, vm or uuid4(), "web01", "default", ProtectionState.PENDING, NOW
    )


def a_job(item: ProtectedItem, operation: JobOperation = JobOperation.BACKUP) -> Job:
    return Job(
        uuid4(),
        item.vault_id,
        item.id,
        item.vm_uuid,
        item.vm_name,
        operation,
        JobStatus.IN_PROGRESS,
        NOW,
        tasks=(Task("one"), Task("two")),
        parameters={"a": 1},
    )


def protected(catalog: Catalog) -> ProtectedItem:
    vault = a_vault(f"v{uuid4().hex[:8]}")
    with catalog.transaction() as tx:
        vaults.insert(tx, vault)
        policy = policies.put(tx, default_policies(vault.id, uuid4)[0])
        item = an_item(vault, policy.id)
        items.put(tx, item)
    return item


def test_migrations_make_the_tables(tmp_path: Path) -> None:
    catalog = Catalog(f"sqlite:///{tmp_path}/c.db")
    catalog.migrate()
    catalog.migrate()
    with catalog.transaction() as tx, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SQLite cannot show indexes over expressions
        assert compare_metadata(MigrationContext.configure(tx), metadata) == []
    catalog.close()


def test_a_catalog_that_cannot_be_opened_says_so(tmp_path: Path) -> None:
    with pytest.raises(CatalogUnavailable, match="nowhere"):
        Catalog(f"sqlite:///{tmp_path}/nowhere/c.db").migrate()


def test_settings_are_made_once(catalog: Catalog) -> None:
    name = uuid4().hex
    with catalog.transaction() as tx:
        assert settings.get_or_set(tx, name, "first") == "first"
        assert settings.get_or_set(tx, name, "second") == "first"


def test_vault_names_do_not_depend_on_case(catalog: Catalog) -> None:
    vault = a_vault("Alpha")
    with catalog.transaction() as tx:
        vaults.insert(tx, vault)
    with catalog.transaction() as tx:
        assert vaults.get(tx, "aLPHA") == vault
        with pytest.raises(AlreadyExists):
            vaults.insert(tx, a_vault("ALPHA"))
        with pytest.raises(NotFound, match="beta"):
            vaults.get(tx, "beta")


def test_policies_keep_their_id_when_changed(catalog: Catalog) -> None:
    vault = a_vault("pol")
    with catalog.transaction() as tx:
        vaults.insert(tx, vault)
        first = policies.put(tx, default_policies(vault.id, uuid4)[0])
        content = replace(first.content, instant_days=5)
        second = policies.put(tx, new_policy(uuid4(), vault.id, first.name, content))
        assert second == new_policy(first.id, vault.id, first.name, content)
        assert policies.get(tx, vault.id, DEFAULT_POLICY.upper()) == second
        assert policies.item_count(tx, first.id) == 0


def test_a_policy_stays_readable_when_rules_get_stricter(catalog: Catalog) -> None:
    item = protected(catalog)
    content = replace(standard_content(), instant_days=77)
    with catalog.transaction() as tx:
        policies.put(tx, new_policy(uuid4(), item.vault_id, "old", content))
        assert policies.get(tx, item.vault_id, "old").content == content


def test_how_far_schedules_have_come(catalog: Catalog) -> None:
    first, second = protected(catalog), protected(catalog)
    with catalog.transaction() as tx:
        schedules.set_done(tx, first.id, NOW)
        schedules.set_done(tx, second.id, NOW)
        schedules.set_done(tx, second.id, NOW + timedelta(days=1))
        known = schedules.done_until(tx)
        assert (known[first.id], known[second.id]) == (NOW, NOW + timedelta(days=1))
        schedules.forget(tx, [first.id])
        items.delete(tx, second.id)
        assert not {first.id, second.id} & schedules.done_until(tx).keys()


def test_the_expiry_of_a_point_comes_back(catalog: Catalog) -> None:
    item = protected(catalog)
    kept = RecoveryPoint(
        uuid4().hex[:18], item.id, NOW, Consistency.CRASH, NOW, None, "m", scheduled=NOW, rule=RuleName.YEARLY
    )
    with catalog.transaction() as tx:
        points.put_recovery_point(tx, kept)
        assert points.recovery_points_of(tx, item.id) == [kept]


def test_one_active_vault_per_machine(catalog: Catalog) -> None:
    item = protected(catalog)
    other = replace(item, id=uuid4())
    with pytest.raises(ProtectedInAnotherVault, match="unprotect web01"), catalog.transaction() as tx:
        items.put(tx, other)
    for inactive in (ProtectionState.SUSPENDED, ProtectionState.STOPPED):
        with catalog.transaction() as tx:
            items.put(tx, replace(item, state=inactive))
            items.put(tx, other)
            items.delete(tx, other.id)
    with catalog.transaction() as tx:
        items.put(tx, replace(item, state=ProtectionState.STOPPED))
        items.put(tx, other)
        assert len(items.of_machine(tx, item.vm_uuid)) == 2


def test_the_first_point_ends_pending(catalog: Catalog) -> None:
    item = protected(catalog)
    with catalog.transaction() as tx:
        items.record_backup(tx, item.id, started=NOW, status="Failed", point=None)
        assert items.every(tx, item.vault_id)[0].state is ProtectionState.PENDING
        items.record_backup(tx, item.id, started=NOW, status="Completed", point=NOW)
        found = items.find_by_id(tx, item.id)
    assert found is not None
    assert (found.state, found.last_recovery_point) == (ProtectionState.PROTECTED, NOW)


def test_jobs_that_change_a_chain_exclude_each_other(catalog: Catalog) -> None:
    item = protected(catalog)
    job = a_job(item)
    with catalog.transaction() as tx:
        jobs.insert(tx, job)
        with pytest.raises(BackupOperationInProgress, match="web01"):
            jobs.insert(tx, a_job(item, JobOperation.DISABLE_BACKUP))
        jobs.insert(tx, a_job(item, JobOperation.RESTORE))
    with catalog.transaction() as tx:
        assert jobs.get(tx, job.id) == job
        jobs.finish(tx, job.id, status=JobStatus.FAILED, ended=NOW, errors=[], properties={})
        jobs.insert(tx, a_job(item))


def test_a_job_from_start_to_end(catalog: Catalog) -> None:
    item = protected(catalog)
    job = a_job(item)
    later = NOW + timedelta(minutes=1)
    with catalog.transaction() as tx:
        jobs.insert(tx, job)
        jobs.start_task(tx, job.id, "one", now=NOW, total=100)
        jobs.advance_task(tx, job.id, "one", 40)
        assert jobs.get(tx, job.id).tasks[0].percent == 40.0
        jobs.end_task(tx, job.id, "one", status=TaskStatus.COMPLETED, now=later)
        jobs.start_task(tx, job.id, "two", now=later)
        jobs.set_properties(tx, job.id, {"x": "y"})
        assert not jobs.is_cancelling(tx, job.id)
        assert jobs.begin(tx, job.id)
        assert jobs.request_cancel(tx, job.id, now=NOW)
        assert not jobs.request_cancel(tx, job.id, now=NOW)
        assert jobs.is_cancelling(tx, job.id)
        problem = JobError("Code", "what happened")
        jobs.finish(
            tx, job.id, status=JobStatus.CANCELLED, ended=later, errors=[problem], properties={"z": 1}
        )
        ended = jobs.get(tx, job.id)
        assert job.id not in [active.id for active in jobs.active(tx)]
    assert [t.status for t in ended.tasks] == [TaskStatus.COMPLETED, TaskStatus.CANCELLED]
    assert ended.tasks[0].started == NOW
    assert ended.errors == (problem,)
    assert ended.properties == {"x": "y", "z": 1}


def test_the_jobs_that_ended_last_come_newest_first(catalog: Catalog) -> None:
    item = protected(catalog)
    ended = []
    with catalog.transaction() as tx:
        for minute in (3, 1, 2):
            job = a_job(item)
            jobs.insert(tx, job)
            at = NOW + timedelta(minutes=minute)
            jobs.finish(tx, job.id, status=JobStatus.COMPLETED, ended=at, errors=[], properties={})
            ended.append((at, job.id))
        jobs.insert(tx, a_job(item))  # one that runs is none of them
        wanted = [job_id for _, job_id in sorted(ended, reverse=True)]
        kind = {"operation": job.operation, "vault_id": item.vault_id}
        assert [each.id for each in jobs.ended(tx, most=9, **kind)] == wanted
        assert [each.id for each in jobs.ended(tx, most=2, item_id=item.id, **kind)] == wanted[:2]
        assert not jobs.ended(tx, most=9, item_id=uuid4(), **kind)
        assert not jobs.ended(tx, JobOperation.VERIFY, 9, vault_id=item.vault_id)


def test_the_last_answer_of_a_guest_agent_is_kept(catalog: Catalog) -> None:
    vm = uuid4()
    first = LastSeen(NOW, "7.2", GuestSystem("debian", "Debian", "12", "6.1"))
    later = LastSeen(NOW + timedelta(days=1), "8.0", GuestSystem("debian", "Debian", "13", "6.12"))
    with catalog.transaction() as tx:
        assert guest_agents.last_seen(tx, vm) is None
        guest_agents.record(tx, vm, first)
        assert guest_agents.last_seen(tx, vm) == first
        guest_agents.record(tx, vm, later)
        assert guest_agents.last_seen(tx, vm) == later
        assert guest_agents.last_seen(tx, uuid4()) is None


def test_answers_of_an_agent_may_be_noted_at_the_same_time(catalog: Catalog) -> None:
    vm = uuid4()
    together = threading.Barrier(6)

    def note(number: int) -> None:
        answer = LastSeen(NOW + timedelta(days=number), "7.2", GuestSystem("debian", "Debian", "12", "6.1"))
        together.wait()
        with catalog.transaction() as tx:
            guest_agents.record(tx, vm, answer)

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(note, range(6))) == [None] * 6
    with catalog.transaction() as tx:
        assert guest_agents.last_seen(tx, vm) is not None


def test_a_job_that_waits_is_cancelled_at_once_and_never_begins(catalog: Catalog) -> None:
    job = a_job(protected(catalog))
    with catalog.transaction() as tx:
        jobs.insert(tx, job)
        assert jobs.request_cancel(tx, job.id, now=NOW)
        ended = jobs.get(tx, job.id)
        assert (ended.status, ended.ended, ended.begun) == (JobStatus.CANCELLED, NOW, False)
        assert not jobs.begin(tx, job.id)


def test_times_come_back_in_utc_and_need_a_zone(catalog: Catalog) -> None:
    item = protected(catalog)
    east = NOW.astimezone(timezone(timedelta(hours=5)))
    with catalog.transaction() as tx:
        items.record_backup(tx, item.id, started=east, status="Completed", point=east)
        found = items.find_by_id(tx, item.id)
        assert found is not None
        assert found.last_backup == NOW
    with pytest.raises(Exception, match="without a zone"), catalog.transaction() as tx:
        items.record_backup(tx, item.id, started=NOW.replace(tzinfo=None), status="", point=None)


def a_restore_point(catalog: Catalog, item: ProtectedItem, number: int) -> RestorePoint:
    layers = tuple(f"/i/d.qcow2.overwinter-{n}" for n in range(number, 0, -1))
    disk = DiskCapture(
        "vda", -1, 1 << 30, (*layers, "/i/d.qcow2"), ("qcow2",) * (number + 1), f"/i/next-{number}"
    )
    with catalog.transaction() as tx:
        existing = collections.of_machine(tx, item.vm_uuid)
        collection = RestorePointCollection(uuid4(), f"{item.vm_uuid}_1", "g", item.vm_uuid)
        if existing:
            collection = existing[0]
        else:
            collections.insert(tx, collection)
        created = NOW + timedelta(days=number)
        point = RestorePoint(
            uuid4(), collection.id, f"p{number}", created, Consistency.FILE_SYSTEM, 12, (disk,)
        )
        points.insert_restore_point(tx, point, MachineState("<domain/>", b"\0nv"))
        recovery = RecoveryPoint(
            uuid4().hex[:18], item.id, created, Consistency.FILE_SYSTEM, None, point.id, None, warnings=("w",)
        )
        points.put_recovery_point(tx, recovery)
    return point


def test_points_and_what_remains_when_the_snapshot_tier_goes(catalog: Catalog) -> None:
    item = protected(catalog)
    first, second = (a_restore_point(catalog, item, n) for n in (0, 1))
    with catalog.transaction() as tx:
        assert points.restore_points_of(tx, item.vm_uuid) == [first, second]
        assert points.machine_state(tx, first.id) == MachineState("<domain/>", b"\0nv")
        recovery = points.recovery_point_of(tx, first.id)
        assert recovery is not None
        assert recovery.tier is Tier.SNAPSHOT
        points.put_recovery_point(tx, replace(recovery, manifest="m"))
        assert points.get_recovery_point(tx, item.id, recovery.id).tier is Tier.SNAPSHOT_AND_VAULT
        points.delete_restore_point(tx, first.id)
        points.delete_restore_point(tx, second.id)
        left = points.recovery_points_of(tx, item.id)
    assert [(point.id, point.tier) for point in left] == [(recovery.id, Tier.VAULT)]


def test_a_finished_merge_shortens_every_chain(catalog: Catalog) -> None:
    item = protected(catalog)
    first, second = (a_restore_point(catalog, item, n) for n in (1, 2))
    merge = Merge(item.vm_uuid, "vda", first.disks[0].chain[0], "/i/d.qcow2")
    with catalog.transaction() as tx:
        merges.begin(tx, merge)
        assert merges.of_machine(tx, item.vm_uuid) == [merge]
        merges.complete(tx, merge)
        assert merges.of_machine(tx, item.vm_uuid) == []
        chains = [point.disks[0].chain for point in points.restore_points_of(tx, item.vm_uuid)]
    assert chains == [("/i/d.qcow2",), (second.disks[0].chain[0], "/i/d.qcow2")]


def test_captures_and_tracks(catalog: Catalog) -> None:
    item = protected(catalog)
    disks = (DiskCapture("vda", -1, 5, ("/a",), ("raw",), "/b"),)
    capture = Capture(uuid4(), uuid4(), item.vm_uuid, "web01", NOW, disks)
    track = Track(item.id, "vda", 5, ({"path": "/a", "inode": 1},), "root", 262144)
    with catalog.transaction() as tx:
        captures.insert(tx, capture)
        assert captures.of_job(tx, capture.job_id) == capture
        assert capture in captures.every(tx)
        captures.delete(tx, capture.id)
        assert captures.of_job(tx, capture.job_id) is None
        tracks.put(tx, track)
        tracks.put(tx, replace(track, map_root="newer"))
        assert tracks.of_item(tx, item.id) == {"vda": replace(track, map_root="newer")}
        tracks.delete(tx, item.id, "vda")
        assert tracks.of_item(tx, item.id) == {}


def test_deleting_an_item_and_a_vault(catalog: Catalog) -> None:
    item = protected(catalog)
    a_restore_point(catalog, item, 0)
    with catalog.transaction() as tx:
        jobs.insert(tx, a_job(item))
        items.delete(tx, item.id)
        vaults.delete(tx, item.vault_id)
        assert items.find_by_id(tx, item.id) is None
        assert item.vault_id not in [vault.id for vault in vaults.every(tx)]


def test_what_was_there_before_gets_what_is_new(tmp_path: Path) -> None:
    """Rows from before there were rules of vaults and chosen disks."""
    opened = Catalog(f"sqlite:///{tmp_path}/catalog.db")
    config = Config()
    config.set_main_option("script_location", str(Path(catalog_room.__file__).parent / "migrations"))
    with opened.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
        vault, policy, item = uuid4(), uuid4(), uuid4()
        for statement in (
            "INSERT INTO vaults VALUES (:vault, 'v', 'default', 'local', 'file:v', 'key-file', '/k', :now)",
            "INSERT INTO policies VALUES (:policy, :vault, 'P', 'V1', 2, 30, 'CrashConsistent', '{}')",
            "INSERT INTO protected_items VALUES "
            "(:item, :vault, :policy, :policy, 'web01', 'default', 'Protected', :now, NULL, '', NULL)",
        ):
            ids = {"vault": vault.hex, "policy": policy.hex, "item": item.hex}
            wanted = {name: value for name, value in ids.items() if f":{name}" in statement}
            now = {"now": "2026-01-01 00:00:00"} if ":now" in statement else {}
            connection.execute(sa.text(statement), {**wanted, **now})
    opened.migrate()
    with opened.transaction() as tx:
        assert vaults.get(tx, "v").rules == VaultRules(SoftDelete.ENABLED, 14, Immutability.DISABLED)
        found = items.get(tx, vault, "web01")
        assert (found.id, found.disks, found.deleted_until) == (item, EVERY_DISK, None)
    opened.close()
