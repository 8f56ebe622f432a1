"""Several processes on one vault: sessions that others see, dead writers, and collections that take over."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from overwinter.model.errors import (
    NotFound,
    VaultCollectionInProgress,
    VaultObjectMissing,
    VaultPointLocked,
    VaultSessionEnded,
)
from overwinter.model.extent import Extent
from overwinter.vault import VaultStore, generations
from overwinter.vault.announcements import Timing, open_sessions
from overwinter.vault.presence import Presence
from overwinter.vault.storage import LocalStorage
from overwinter.vault.store import open_vault_on
from tests.vault.disks import DEAD, NOW, back_up, key, manifest, new_vault, noise, read_from, reopen, restore
from tests.vault.faults import Died, DyingStorage

MIB = 1024 * 1024
OLD, NEW = noise(1, 2 * MIB), noise(2, 2 * MIB)
DAY = timedelta(days=1)

#: A process of another machine, of which nothing is known but its signs of life.
ELSEWHERE = Presence("another machine", 7, 7)


LEFT_BEHIND: list[object] = []


def names(directory: Path, prefix: str) -> list[str]:
    return [stored.name for stored in LocalStorage(directory).list(prefix)]


def host(directory: Path, presence: Presence | None = None, **timing: float) -> VaultStore:
    """The vault as another process has it open."""
    storage = LocalStorage(directory)
    return open_vault_on(
        storage, str(directory), key(), presence=presence, timing=Timing(**timing) if timing else Timing()
    )


def store(session: object, disk: bytes) -> object:
    return session.store_disk("vda", len(disk), [Extent(0, len(disk))], read_from(disk))  # type: ignore[attr-defined]


def test_what_another_process_stored_is_found(tmp_path: Path) -> None:
    first = new_vault(tmp_path)
    second = reopen(tmp_path)
    stored = back_up(first, "1", OLD)
    assert restore(second, stored) == OLD
    with second.session("2") as session:
        store(session, OLD)
        assert session.stats.chunks_new == 0


@pytest.mark.parametrize("moment", ["before it stores", "after it stored"])
def test_a_session_elsewhere_keeps_what_it_relies_on(tmp_path: Path, moment: str) -> None:
    new_vault(tmp_path)
    writer, collector = reopen(tmp_path), reopen(tmp_path)
    back_up(writer, "1", OLD)
    with writer.session("2") as session:
        if moment == "after it stored":
            found = store(session, OLD)
        collector.delete_point("1", now=NOW)
        stats = collector.collect(now=NOW)
        assert (stats.packs_removed, stats.waiting_for) == (0, 1)
        if moment == "before it stores":
            found = store(session, OLD)
        assert session.stats.chunks_new == 0
        session.commit(manifest("2", found))
    assert collector.collect(now=NOW).packs_removed == 0
    assert restore(reopen(tmp_path), found) == OLD
    assert names(tmp_path, "sessions/") == []


def test_who_begins_after_the_doom_does_not_rely_on_it(tmp_path: Path) -> None:
    vault = new_vault(tmp_path)
    back_up(vault, "1", OLD)
    with vault.session("2"):
        vault.delete_point("1", now=NOW)
        assert vault.collect(now=NOW).waiting_for == 1
        with reopen(tmp_path).session("3") as session:
            stored = store(session, OLD)
            assert session.stats.chunks_reused == 0
            session.commit(manifest("3", stored))
    assert vault.collect(now=NOW).packs_removed == 1
    assert restore(reopen(tmp_path), stored) == OLD


def test_an_increment_upon_a_point_that_is_gone_is_refused(tmp_path: Path) -> None:
    vault = new_vault(tmp_path)
    parent = back_up(vault, "1", OLD)
    vault.delete_point("1", now=NOW)
    with vault.session("2") as session, pytest.raises(VaultObjectMissing, match="builds upon is gone"):
        session.store_disk("vda", len(OLD), [], read_from(OLD), parent)


def leave_behind(directory: Path, presence: Presence, committed: bool = False) -> None:
    """A process that dies in its session, before its commit or right after it."""
    session = host(directory, presence).session("7")
    LEFT_BEHIND.append(session)  # or its end would come with the end of this function
    opened = session.__enter__()
    stored = store(opened, NEW)
    opened.flush()
    if committed:
        opened.commit(manifest("7", stored))
    opened.close()


def test_a_dead_writer_of_this_machine_blocks_nobody(tmp_path: Path) -> None:
    vault = new_vault(tmp_path)
    back_up(vault, "1", OLD)
    leave_behind(tmp_path, DEAD)
    assert names(tmp_path, "sessions/")
    stats = vault.collect(now=NOW)
    assert (stats.waiting_for, stats.packs_removed) == (0, 1)
    assert names(tmp_path, "sessions/") == []
    back_up(vault, "7", NEW)  # its name is taken by a tombstone: the next one is used
    assert [found.point_id for found in reopen(tmp_path).manifests()] == ["1", "7"]


def test_what_a_dead_writer_has_committed_stays(tmp_path: Path) -> None:
    vault = new_vault(tmp_path)
    leave_behind(tmp_path, DEAD, committed=True)
    vault.collect(now=NOW)
    assert names(tmp_path, "sessions/") == []
    assert restore(vault, vault.manifest("7").disks[0].map) == NEW


def test_a_dead_writer_elsewhere_is_ended_when_it_gives_no_sign_of_life(tmp_path: Path) -> None:
    new_vault(tmp_path)
    leave_behind(tmp_path, ELSEWHERE)
    vault = host(tmp_path, patience=0.2, poll=0.01)
    assert vault.collect(now=NOW).packs_removed == 1
    assert names(tmp_path, "sessions/") == []


def test_a_living_writer_elsewhere_is_waited_for(tmp_path: Path) -> None:
    new_vault(tmp_path)
    writer = host(tmp_path, ELSEWHERE, beat=0.05)
    with writer.session("7") as session:
        stored = store(session, NEW)
        session.flush()
        assert host(tmp_path, patience=60, poll=0.01).collect(now=NOW).waiting_for == 1
        session.commit(manifest("7", stored))
    assert names(tmp_path, "sessions/") == []
    assert restore(reopen(tmp_path), stored) == NEW


def test_a_writer_that_was_wrongly_taken_for_dead_fails_and_the_next_try_works(tmp_path: Path) -> None:
    new_vault(tmp_path)
    writer = host(tmp_path, ELSEWHERE)  # alive, but its first sign of life is a minute away
    with writer.session("7") as session:
        stored = store(session, NEW)
        session.flush()
        vault = host(tmp_path, patience=0.1, poll=0.01)
        assert vault.collect(now=NOW).packs_removed == 1
        with pytest.raises(VaultSessionEnded):
            session.commit(manifest("7", stored))
    assert reopen(tmp_path).manifests() == []
    back_up(writer, "7", NEW)
    assert restore(reopen(tmp_path), reopen(tmp_path).manifest("7").disks[0].map) == NEW


def test_one_collection_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vault = new_vault(tmp_path)
    back_up(vault, "1", OLD)
    original: Callable[..., None] = generations.put_doom

    def meanwhile(*arguments: object) -> None:
        with pytest.raises(VaultCollectionInProgress):
            reopen(tmp_path).collect(now=NOW)
        original(*arguments)

    monkeypatch.setattr(generations, "put_doom", meanwhile)
    vault.collect(now=NOW)


def test_a_collector_that_slept_does_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It wakes up after others have ended its collection and relied on what it wanted to remove."""
    vault = new_vault(tmp_path)
    stored = back_up(vault, "1", OLD)
    vault.delete_point("1", now=NOW)
    sleeper = host(tmp_path, DEAD)
    original: Callable[..., None] = generations.put_doom

    def asleep(*arguments: object) -> None:
        monkeypatch.setattr(generations, "put_doom", original)
        back_up(reopen(tmp_path), "2", OLD)  # finds the chunks of point 1
        reopen(tmp_path).collect(now=NOW)
        original(*arguments)

    monkeypatch.setattr(generations, "put_doom", asleep)
    sleeper.collect(now=NOW)
    reopen(tmp_path).collect(now=NOW)
    assert restore(reopen(tmp_path), stored) == OLD


def test_a_collection_that_died_anywhere_is_taken_up(tmp_path: Path) -> None:
    steps = 0
    while True:
        directory = tmp_path / str(steps)
        vault = new_vault(directory)
        kept = back_up(vault, "1", OLD[:MIB] + NEW[:MIB])
        back_up(vault, "2", OLD)
        vault.delete_point("2", now=NOW)
        try:
            reopen(directory, DyingStorage(directory, steps), DEAD).collect(now=NOW)
        except Died:
            vault.collect(now=NOW)
            assert len(names(directory, "packs/")) == 1
            assert names(directory, "sessions/") == []
            assert restore(reopen(directory), kept) == OLD[:MIB] + NEW[:MIB]
            steps += 1
            continue
        break
    assert steps >= 8


def test_wasteful_packs_are_copied(tmp_path: Path) -> None:
    vault = new_vault(tmp_path)
    disk = noise(3, 8 * MIB)
    back_up(vault, "1", disk)
    kept = back_up(vault, "2", disk[:MIB] + bytes(MIB // 2) + disk[5 * MIB : 6 * MIB])
    vault.delete_point("1", now=NOW)
    stats = vault.collect(now=NOW)
    assert stats.bytes_copied > 8 * MIB
    assert sum(stored.size for stored in LocalStorage(tmp_path).list("packs/")) < 2.2 * MIB
    for opened in (vault, reopen(tmp_path)):
        assert restore(opened, kept) == disk[:MIB] + bytes(MIB // 2) + disk[5 * MIB : 6 * MIB]
    assert vault.collect(now=NOW).packs_removed == 0


def test_many_small_packs_are_joined(tmp_path: Path) -> None:
    vault = new_vault(tmp_path)
    maps = [back_up(vault, str(number), noise(number, 10_000)) for number in range(20)]
    vault.collect(now=NOW)
    assert len(names(tmp_path, "packs/")) == 1
    assert [restore(vault, found) for found in maps] == [noise(number, 10_000) for number in range(20)]


def test_a_reader_goes_on_while_its_packs_are_replaced(tmp_path: Path) -> None:
    vault = new_vault(tmp_path)
    disk = noise(3, 4 * MIB)
    back_up(vault, "1", disk)
    kept = back_up(vault, "2", disk[: 2 * MIB])
    reader = reopen(tmp_path)
    vault.delete_point("1", now=NOW)
    assert vault.collect(now=NOW).packs_removed > 0
    assert restore(reader, kept) == disk[: 2 * MIB]
    assert reader.read_range(kept, MIB, 5000) == disk[MIB : MIB + 5000]


def test_a_deleted_point_can_be_had_back_for_its_days(tmp_path: Path) -> None:
    vault = new_vault(tmp_path)
    stored = back_up(vault, "1", OLD)
    vault.delete_point("1", now=NOW, until=NOW + 14 * DAY)
    vault.delete_point("1", now=NOW, until=NOW + 2 * DAY)  # again: the first one counts
    assert vault.manifests() == []
    (deleted,) = vault.deleted_points()
    assert (deleted.manifest.point_id, deleted.until) == ("1", NOW + 14 * DAY)
    vault.collect(now=NOW + 13 * DAY)
    assert restore(reopen(tmp_path), vault.manifest("1").disks[0].map) == OLD
    vault.undelete_point("1", now=NOW + 13 * DAY)
    vault.undelete_point("1", now=NOW + 13 * DAY)
    assert [found.point_id for found in vault.manifests()] == ["1"]
    vault.delete_point("1", now=NOW, until=NOW + DAY)
    with pytest.raises(NotFound, match="only"):
        vault.undelete_point("1", now=NOW + DAY)
    stats = vault.collect(now=NOW + DAY)
    assert (stats.points_purged, stats.packs_removed) == (1, 1)
    assert names(tmp_path, "deleted/") == names(tmp_path, "manifests/") == []
    with pytest.raises(VaultObjectMissing):
        restore(vault, stored)


def test_a_locked_point_is_not_deleted_before_its_date(tmp_path: Path) -> None:
    vault = new_vault(tmp_path)
    back_up(vault, "1", OLD)
    vault.lock_point("1", NOW + 30 * DAY)
    vault.lock_point("1", NOW + 3 * DAY)  # never shorter
    for until in (None, NOW + 60 * DAY):
        with pytest.raises(VaultPointLocked, match="2026-07-01"):
            vault.delete_point("1", now=NOW + 29 * DAY, until=until)
    vault.collect(now=NOW + 29 * DAY)
    assert len(vault.manifests()) == 1
    vault.delete_point("1", now=NOW + 30 * DAY)
    assert names(tmp_path, "locks/") == []


def test_every_open_session_is_listed(tmp_path: Path) -> None:
    vault = new_vault(tmp_path)
    with vault.session("1"), vault.session("2"):
        assert len(list(open_sessions(vault._blobs))) == 2
    assert list(open_sessions(vault._blobs)) == []
