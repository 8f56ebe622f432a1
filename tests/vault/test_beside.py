"""Work beside work: nothing that goes on in a vault holds up or fails what others do at the same time."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from overwinter.model.errors import NotFound, VaultCollectionInProgress, VaultPointLocked, VaultSessionEnded
from overwinter.model.extent import Extent
from overwinter.vault import VaultStore, control
from overwinter.vault.presence import Presence
from overwinter.vault.rebuild import rebuild_index_on
from overwinter.vault.seal import ObjectKind
from overwinter.vault.storage import LocalStorage, StoredObject
from tests.vault.disks import (
    CHUNK,
    DEAD,
    NOW,
    back_up,
    key,
    manifest,
    new_vault,
    noise,
    read_from,
    reopen,
    restore,
)
from tests.vault.test_protocol import DAY, ELSEWHERE, host

OLD, NEW = noise(1, 4 * CHUNK), noise(2, 4 * CHUNK)


class Interrupted(LocalStorage):
    """Others do something once, at one ``moment``: an operation and the begin of the names it is about."""

    moment = ("none", "")
    do: Callable[[], object]

    def list(self, prefix: str) -> list[StoredObject]:
        self._come_to("before list", prefix)
        found = super().list(prefix)
        self._come_to("after list", prefix)
        return found

    def get_range(self, name: str, offset: int, length: int) -> bytes:
        self._come_to("before get_range", name)
        found = super().get_range(name, offset, length)
        self._come_to("after get_range", name)
        return found

    def _come_to(self, operation: str, name: str) -> None:
        if operation == self.moment[0] and name.startswith(self.moment[1]):
            self.moment = ("none", "")
            self.do()


def interrupted(
    directory: Path, operation: str, prefix: str, do: Callable[[], object], presence: Presence | None = None
) -> VaultStore:
    storage = Interrupted(directory)
    vault = reopen(directory, storage, presence)
    storage.moment, storage.do = (operation, prefix), do
    return vault


def names(directory: Path, prefix: str) -> list[str]:
    return [stored.name for stored in LocalStorage(directory).list(prefix)]


def test_a_collection_goes_on_when_a_point_is_added_as_it_begins(tmp_path: Path) -> None:
    back_up(new_vault(tmp_path), "1", OLD)
    other = reopen(tmp_path)
    stored = []
    collector = interrupted(
        tmp_path, "before list", "manifests/", lambda: stored.append(back_up(other, "2", NEW))
    )
    collector.collect(now=NOW)
    assert restore(reopen(tmp_path), stored[0]) == NEW


def test_a_session_that_waits_for_its_storage_does_not_hold_up_others(tmp_path: Path) -> None:
    waits, went_on = threading.Event(), threading.Event()

    def wait() -> None:
        waits.set()
        assert went_on.wait(60)

    parent = back_up(new_vault(tmp_path), "1", OLD)
    slow = interrupted(tmp_path, "before list", "manifests/", wait)
    backup = threading.Thread(target=back_up, args=(slow, "2", OLD, [], parent))
    backup.start()
    waits.wait()
    other = threading.Thread(target=back_up, args=(reopen(tmp_path), "3", OLD, [], parent))
    other.start()
    other.join(30)
    held_up = other.is_alive()
    went_on.set()
    backup.join()
    assert not held_up


def test_a_backup_that_runs_again_is_not_ended_with_the_process_that_died_in_it(tmp_path: Path) -> None:
    new_vault(tmp_path)
    died = reopen(tmp_path, presence=DEAD).session("1")
    session = died.__enter__()
    session.store_disk("vda", len(OLD), [Extent(0, len(OLD))], read_from(OLD))
    session.close()
    with reopen(tmp_path).session("1") as again:
        stored = again.store_disk("vda", len(OLD), [Extent(0, len(OLD))], read_from(OLD))
        reopen(tmp_path).collect(now=NOW)
        again.commit(manifest("1", stored))
    assert restore(reopen(tmp_path), stored) == OLD
    died.__exit__(None, None, None)


def test_a_collection_begins_while_another_one_follows_the_one_before(tmp_path: Path) -> None:
    vault = new_vault(tmp_path)
    vault.collect(now=NOW)
    collector = interrupted(tmp_path, "after list", "collections/", lambda: vault.collect(now=NOW))
    collector.collect(now=NOW)
    assert names(tmp_path, "collections/")[-1] == "collections/00000003.waits"


def test_a_collection_whose_session_another_one_removed_can_run_again(tmp_path: Path) -> None:
    vault = new_vault(tmp_path)
    collector = interrupted(
        tmp_path, "before list", "sessions/", lambda: vault.collect(now=NOW), presence=ELSEWHERE
    )
    with pytest.raises(VaultSessionEnded, match="Run it again"):
        collector.collect(now=NOW)
    collector.collect(now=NOW)


def test_a_collection_that_slept_while_others_collected_finds_no_damage(tmp_path: Path) -> None:
    new_vault(tmp_path)
    vault = host(tmp_path, patience=0, poll=0)
    back_up(vault, "1", OLD)

    def others_go_on() -> None:
        vault.delete_point("1", now=NOW)
        assert vault.collect(now=NOW).packs_removed == 1

    sleeper = interrupted(tmp_path, "before list", "damaged/", others_go_on, presence=ELSEWHERE)
    with pytest.raises(VaultCollectionInProgress, match="have ended this collection"):
        sleeper.collect(now=NOW)


def test_a_collection_that_others_carry_through_finds_no_damage(tmp_path: Path) -> None:
    vault = new_vault(tmp_path)

    def second_listing() -> None:
        storage.moment, storage.do = ("before list", "collections/"), lambda: vault.collect(now=NOW)

    storage = Interrupted(tmp_path)
    collector = reopen(tmp_path, storage)
    storage.moment, storage.do = ("before list", "collections/"), second_listing
    with pytest.raises(VaultCollectionInProgress, match="have ended this collection"):
        collector.collect(now=NOW)


def test_an_index_is_made_anew_while_packs_are_collected(tmp_path: Path) -> None:
    vault = new_vault(tmp_path)
    back_up(vault, "1", OLD)
    stored = back_up(vault, "2", NEW)
    vault.delete_point("1", now=NOW)
    storage = Interrupted(tmp_path)
    storage.moment, storage.do = ("after list", "packs/"), lambda: vault.collect(now=NOW)
    rebuild_index_on(storage, str(tmp_path), key())
    assert restore(reopen(tmp_path), stored) == NEW


# --- packs that are replaced while they are read -----------------------------------------------------------


def point_in_a_wasteful_pack(directory: Path) -> tuple[VaultStore, str]:
    """Point 2 of ``OLD``, whose map lies in one pack and whose chunks in another that is mostly garbage."""
    vault = new_vault(directory)
    back_up(vault, "1", OLD + noise(3, 20 * CHUNK))
    (pack,) = names(directory, "packs/")
    back_up(vault, "2", OLD)
    vault.delete_point("1", now=NOW)
    return vault, pack


def test_a_read_goes_on_when_another_thread_has_looked_where_the_pack_went(tmp_path: Path) -> None:
    vault, pack = point_in_a_wasteful_pack(tmp_path)
    disk = vault.manifest("2").disks[0].map

    def replace() -> None:
        vault.collect(now=NOW)
        reader.damaged_extents(disk)  # a method that reads the index anew

    reader = interrupted(tmp_path, "before get_range", pack, replace)
    assert reader.read_range(disk, 0, len(OLD)) == OLD


def test_a_restore_goes_on_when_its_pack_goes_between_two_reads(tmp_path: Path) -> None:
    vault, pack = point_in_a_wasteful_pack(tmp_path)
    reader = interrupted(tmp_path, "after get_range", pack, lambda: vault.collect(now=NOW))
    assert restore(reader, vault.manifest("2").disks[0].map) == OLD


# --- a point that is deleted and locked at the same time ---------------------------------------------------


def test_a_lock_that_comes_before_the_deletion_is_done_holds(tmp_path: Path) -> None:
    vault = new_vault(tmp_path)
    back_up(vault, "1", OLD)
    for until in (None, NOW + DAY):
        deleter = interrupted(tmp_path, "after list", "locks/", lambda: vault.lock_point("1", NOW + 30 * DAY))
        with pytest.raises(VaultPointLocked):
            deleter.delete_point("1", now=NOW, until=until)
        assert [point.point_id for point in vault.manifests()] == ["1"]


@pytest.mark.parametrize("until", [None, NOW + DAY])
def test_a_lock_fails_when_the_deletion_came_first(tmp_path: Path, until: object) -> None:
    vault = new_vault(tmp_path)
    back_up(vault, "1", OLD)
    locker = interrupted(
        tmp_path,
        "after list",
        "deleted/",
        lambda: vault.delete_point("1", now=NOW, until=until),  # type: ignore[arg-type]
    )
    with pytest.raises(NotFound):
        locker.lock_point("1", NOW + 30 * DAY)
    assert names(tmp_path, "locks/") == []


def test_a_deletion_that_died_before_it_saw_the_lock_removes_nothing(tmp_path: Path) -> None:
    vault = new_vault(tmp_path)
    back_up(vault, "1", OLD)
    vault.lock_point("1", NOW + 30 * DAY)
    (name,) = names(tmp_path, "manifests/")
    mark = name.replace("manifests/", "deleted/")
    control.put(vault._blobs, ObjectKind.MARK, mark, {"until": NOW.isoformat()})
    assert vault.collect(now=NOW + 29 * DAY).points_purged == 0
    assert restore(reopen(tmp_path), vault.manifest("1").disks[0].map) == OLD
    assert vault.collect(now=NOW + 30 * DAY).points_purged == 1
