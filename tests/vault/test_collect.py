"""Collection frees what no point needs and nothing else, beside open sessions too."""

from itertools import count
from pathlib import Path

import pytest

from overwinter.model.errors import JobCancelled, VaultDataCorrupt
from overwinter.model.extent import Extent
from overwinter.vault.storage import LocalStorage
from tests.vault.disks import NOW, back_up, manifest, new_vault, noise, read_from, reopen, restore

MIB = 1024 * 1024
OLD, NEW = noise(1, 2 * MIB), noise(2, 2 * MIB)


def size(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def test_space_of_a_deleted_point_is_freed(tmp_path: Path) -> None:
    vault = new_vault(tmp_path)
    back_up(vault, "1", OLD)
    kept = back_up(vault, "2", NEW)
    before = size(tmp_path)
    assert vault.collect(now=NOW).packs_removed == 0
    vault.delete_point("1", now=NOW)
    stats = vault.collect(now=NOW)
    assert (stats.packs_removed, stats.packs_kept) == (1, 1)
    assert before - size(tmp_path) > stats.bytes_freed > 2 * MIB
    for opened in (vault, reopen(tmp_path)):
        assert restore(opened, kept) == NEW
    with vault.session("2") as session:
        session.store_disk("vda", len(OLD), [Extent(0, len(OLD))], read_from(OLD))
        assert session.stats.chunks_reused == 0, "the index still claims what was removed"


def test_what_an_open_session_wrote_or_found_stays(tmp_path: Path) -> None:
    vault = new_vault(tmp_path)
    back_up(vault, "1", OLD)
    with vault.session("2") as session:
        found = session.store_disk("vda", len(OLD), [Extent(0, len(OLD))], read_from(OLD))
        written = session.store_disk("vdb", len(NEW), [Extent(0, len(NEW))], read_from(NEW))
        vault.delete_point("1", now=NOW)
        assert vault.collect(now=NOW).packs_removed == 0
        session.commit(manifest("2", found, written))
    vault.collect(now=NOW)
    vault = reopen(tmp_path)
    assert (restore(vault, found), restore(vault, written)) == (OLD, NEW)


def test_what_an_open_session_builds_upon_stays(tmp_path: Path) -> None:
    vault = new_vault(tmp_path)
    parent = back_up(vault, "1", OLD)
    with vault.session("2") as session:
        child = session.store_disk("vda", len(OLD), [], read_from(OLD), parent)
        vault.delete_point("1", now=NOW)
        vault.collect(now=NOW)
        session.commit(manifest("2", child))
    vault.collect(now=NOW)
    assert restore(reopen(tmp_path), child) == OLD


def test_packs_of_a_session_that_was_given_up_are_removed(tmp_path: Path) -> None:
    vault = new_vault(tmp_path)
    back_up(vault, "1", OLD)
    with vault.session("2") as session:
        stored = session.store_disk("vda", len(NEW), [Extent(0, len(NEW))], read_from(NEW))
        session.commit(manifest("2", stored))
    vault.delete_point("2", now=NOW)
    (tmp_path / "tmp" / "left-behind").write_bytes(b"half a pack")
    assert vault.collect(now=NOW).packs_removed == 1
    assert len(LocalStorage(tmp_path).list("packs/")) == 1
    assert list((tmp_path / "tmp").iterdir()) == []


def test_nothing_is_removed_when_a_point_cannot_be_read(tmp_path: Path) -> None:
    vault = new_vault(tmp_path)
    back_up(vault, "1", OLD)
    back_up(vault, "2", NEW)
    vault.delete_point("1", now=NOW)
    (damaged,) = LocalStorage(tmp_path).list("manifests/")
    (tmp_path / damaged.name).write_bytes(b"")
    before = LocalStorage(tmp_path).list("packs/")
    with pytest.raises(VaultDataCorrupt):
        vault.collect(now=NOW)
    assert LocalStorage(tmp_path).list("packs/") == before


def test_many_index_objects_become_one(tmp_path: Path) -> None:
    vault = new_vault(tmp_path)
    disks = [noise(number, 500) for number in range(66)]
    maps = [back_up(vault, str(number), disk) for number, disk in enumerate(disks)]
    assert len(LocalStorage(tmp_path).list("index/")) == 66
    vault.collect(now=NOW)
    assert len(LocalStorage(tmp_path).list("index/")) < 10
    vault = reopen(tmp_path)
    assert [restore(vault, stored) for stored in maps] == disks


@pytest.mark.parametrize("question", range(3))
def test_a_cancelled_collection_removes_nothing_and_the_next_one_does(tmp_path: Path, question: int) -> None:
    vault = new_vault(tmp_path)
    kept = back_up(vault, "1", OLD)
    back_up(vault, "2", NEW)
    vault.delete_point("2", now=NOW)
    packs = LocalStorage(tmp_path).list("packs/")
    asked = count()

    def cancelled() -> None:
        if next(asked) == question:
            raise JobCancelled("enough")

    with pytest.raises(JobCancelled):
        vault.collect(now=NOW, cancelled=cancelled)
    assert LocalStorage(tmp_path).list("packs/") == packs
    assert vault.collect(now=NOW).packs_removed == 1
    assert restore(vault, kept) == OLD
