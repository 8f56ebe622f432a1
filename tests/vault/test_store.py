"""Backups and restores through the store's own interface, on a directory."""

import threading
from pathlib import Path
from uuid import uuid4

import pytest

from overwinter.model.errors import (
    AlreadyExists,
    JobCancelled,
    NotFound,
    VaultDataCorrupt,
    VaultError,
    VaultFormatUnsupported,
    VaultKeyWrong,
    VaultObjectMissing,
)
from overwinter.model.extent import Extent
from overwinter.vault import KeySource, create_vault, open_vault
from overwinter.vault.storage import LocalStorage
from tests.vault.disks import (
    CHUNK,
    NOW,
    VAULT_ID,
    back_up,
    key,
    manifest,
    new_vault,
    noise,
    read_from,
    reopen,
    restore,
)

MIB = 1024 * 1024


@pytest.mark.parametrize("size", [1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * MIB, 5 * MIB + 513])
def test_a_disk_of_any_size_comes_back(tmp_path: Path, size: int) -> None:
    disk = noise(1, size)
    stored = back_up(new_vault(tmp_path), "1", disk)
    vault = reopen(tmp_path)
    assert vault.manifests() == [manifest("1", stored)]
    assert restore(vault, stored) == disk


def test_an_empty_disk_and_a_disk_of_zeros_store_no_chunk(tmp_path: Path) -> None:
    vault = new_vault(tmp_path)
    for size in (0, 3 * MIB + 17):
        with vault.session(str(size)) as session:
            stored = session.store_disk("vda", size, [Extent(0, size)], read_from(bytes(size)))
            session.commit(manifest(str(size), stored))
            assert session.stats.chunks_new == 0
        assert restore(vault, stored) == bytes(size)


def test_equal_data_is_stored_once(tmp_path: Path) -> None:
    vault = new_vault(tmp_path)
    disk = noise(1, 2 * MIB)
    with vault.session("1") as session:
        first = session.store_disk("vda", len(disk), [Extent(0, len(disk))], read_from(disk))
        twice = session.store_disk("vdb", 2 * len(disk), [Extent(0, 2 * len(disk))], read_from(disk + disk))
        session.commit(manifest("1", first, twice))
        stats = session.stats
    assert (stats.bytes_new, stats.bytes_read) == (len(disk), 3 * len(disk))
    assert (stats.chunks_new, stats.chunks_reused) == (512, 1024)
    held = sum(stored.size for stored in LocalStorage(tmp_path).list(""))
    assert len(disk) < stats.bytes_stored < held < len(disk) * 1.05
    with reopen(tmp_path).session("2") as session:
        again = session.store_disk("vda", len(disk), [Extent(0, len(disk))], read_from(disk))
        session.commit(manifest("2", again))
        assert again == first
        assert session.stats.bytes_new == 0
        assert session.stats.bytes_stored < 1024


def test_an_increment_reads_and_stores_what_changed(tmp_path: Path) -> None:
    vault = new_vault(tmp_path)
    disk = bytearray(noise(1, 8 * MIB))
    parent = back_up(vault, "1", disk)
    before = bytes(disk)
    disk[MIB + 100 : MIB + 200] = noise(2, 100)
    disk[5 * MIB :] = bytes(3 * MIB)
    changes = [Extent(MIB + 100, 100), Extent(5 * MIB, 3 * MIB, zero=True)]
    with vault.session("2") as session:
        child = session.store_disk("vda", len(disk), changes, read_from(disk), parent)
        session.commit(manifest("2", child))
        assert session.stats.bytes_read == CHUNK
        assert session.stats.chunks_new == 1
    vault = reopen(tmp_path)
    assert restore(vault, child) == bytes(disk)
    assert restore(vault, parent) == before


def test_an_increment_without_changes_is_its_parent(tmp_path: Path) -> None:
    vault = new_vault(tmp_path)
    disk = noise(1, MIB)
    parent = back_up(vault, "1", disk)
    assert back_up(vault, "2", disk, [], parent) == parent
    assert back_up(vault, "3", disk, [Extent(5, 70_000)], parent) == parent


def test_a_parent_of_another_size_is_refused(tmp_path: Path) -> None:
    vault = new_vault(tmp_path)
    parent = back_up(vault, "1", noise(1, MIB))
    with pytest.raises(ValueError, match="cannot build upon"):
        back_up(vault, "2", noise(1, 2 * MIB), [], parent)


def test_ranges_are_read_like_the_disk(tmp_path: Path) -> None:
    vault = new_vault(tmp_path)
    disk = noise(1, 100_000) + bytes(3 * MIB) + noise(2, 100_001)
    stored = back_up(vault, "1", disk)
    for offset, length in [(0, 1), (99_999, 2), (4095, 8193), (len(disk) - 1, 1), (0, len(disk)), (7, 0)]:
        assert vault.read_range(stored, offset, length) == disk[offset : offset + length]
    with pytest.raises(ValueError, match="do not lie within"):
        vault.read_range(stored, len(disk), 1)


def test_a_manifest_keeps_everything(tmp_path: Path) -> None:
    vault = new_vault(tmp_path)
    with vault.session("7") as session:
        stored = session.store_disk("vda", MIB, [Extent(0, MIB)], read_from(noise(1, MIB)))
        written = manifest("7", stored, nvram=noise(3, 5000))
        session.commit(written)
    assert reopen(tmp_path).manifest("7") == written


def test_committing_again_is_no_error_but_another_point_of_that_name_is(tmp_path: Path) -> None:
    vault = new_vault(tmp_path)
    disk = noise(1, MIB)
    back_up(vault, "1", disk)
    back_up(vault, "1", disk)
    with pytest.raises(AlreadyExists):
        back_up(vault, "1", noise(2, MIB))
    assert len(vault.manifests()) == 1


def test_points_are_listed_by_age_and_deleted_for_good(tmp_path: Path) -> None:
    vault = new_vault(tmp_path)
    for point in ("3", "1", "2"):
        back_up(vault, point, noise(int(point), MIB))
    assert [found.point_id for found in vault.manifests()] == ["1", "2", "3"]
    vault.delete_point("2", now=NOW)
    vault.delete_point("2", now=NOW)
    assert [found.point_id for found in reopen(tmp_path).manifests()] == ["1", "3"]
    with pytest.raises(NotFound):
        vault.manifest("2")


def test_a_session_that_is_not_committed_leaves_no_point(tmp_path: Path) -> None:
    vault = new_vault(tmp_path)
    with vault.session("1") as session:
        session.store_disk("vda", MIB, [Extent(0, MIB)], read_from(noise(1, MIB)))
    assert reopen(tmp_path).manifests() == []


def test_a_manifest_of_a_map_that_the_vault_lacks_is_refused(tmp_path: Path) -> None:
    other = back_up(new_vault(tmp_path / "other"), "1", noise(1, MIB))
    vault = new_vault(tmp_path / "vault")
    with vault.session("1") as session, pytest.raises(VaultObjectMissing):
        session.commit(manifest("1", other))
    assert vault.manifests() == []


def test_progress_counts_what_is_read_and_written(tmp_path: Path) -> None:
    vault = new_vault(tmp_path)
    disk = noise(1, 10 * MIB)
    seen: list[int] = []
    with vault.session("1", progress=seen.append) as session:
        stored = session.store_disk("vda", len(disk), [Extent(0, len(disk))], read_from(disk))
        session.commit(manifest("1", stored))
    assert seen == sorted(seen)
    assert seen[-1] == len(disk)
    seen.clear()
    vault.restore_disk(stored, lambda offset, data: None, target="vda", progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == len(disk)


def test_a_cancelled_job_stops(tmp_path: Path) -> None:
    calls = threading.Semaphore(3)

    def cancelled() -> None:
        if not calls.acquire(blocking=False):
            raise JobCancelled("stop")

    vault = new_vault(tmp_path)
    disk = noise(1, 32 * MIB)
    with pytest.raises(JobCancelled), vault.session("1", cancelled=cancelled) as session:
        session.store_disk("vda", len(disk), [Extent(0, len(disk))], read_from(disk))
    stored = back_up(vault, "1", disk)
    calls.release()
    with pytest.raises(JobCancelled):
        vault.restore_disk(stored, lambda offset, data: None, target="vda", cancelled=cancelled)


def test_what_the_reader_raises_ends_the_session(tmp_path: Path) -> None:
    def read(offset: int, buffer: memoryview) -> None:
        raise VaultError(f"no disk at {offset}")

    vault = new_vault(tmp_path)
    with pytest.raises(VaultError, match="no disk"), vault.session("1") as session:
        session.store_disk("vda", MIB, [Extent(0, MIB)], read)


def test_a_session_that_failed_cannot_be_committed(tmp_path: Path) -> None:
    def read(offset: int, buffer: memoryview) -> None:
        if offset >= 4 * MIB:
            raise VaultError("disk gone")
        buffer[:] = noise(offset, len(buffer))

    vault = new_vault(tmp_path)
    with vault.session("1") as session:
        kept = session.store_disk("vda", MIB, [Extent(0, MIB)], read_from(noise(1, MIB)))
        with pytest.raises(VaultError, match="disk gone"):
            session.store_disk("vdb", 16 * MIB, [Extent(0, 16 * MIB)], read)
        with pytest.raises(VaultError, match="failed before"):
            session.commit(manifest("1", kept))
    assert vault.manifests() == []


def test_two_sessions_at_once(tmp_path: Path) -> None:
    vault = new_vault(tmp_path)
    disks = [noise(number % 2, 6 * MIB) + noise(9 + number, MIB) for number in range(4)]
    threads = [
        threading.Thread(target=back_up, args=(vault, str(number), disk)) for number, disk in enumerate(disks)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    vault = reopen(tmp_path)
    assert [restore(vault, point.disks[0].map) for point in vault.manifests()] == disks


def test_creation_refuses_what_is_not_empty(tmp_path: Path) -> None:
    key = KeySource.new_key_file(tmp_path / "key")
    url = f"file://{tmp_path}/vault"
    create_vault(url, key, vault_id=VAULT_ID)
    with pytest.raises(AlreadyExists):
        create_vault(url, key, vault_id=VAULT_ID)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter.txt").write_text("mine")
    with pytest.raises(AlreadyExists):
        create_vault(f"file://{tmp_path}/other", key, vault_id=VAULT_ID)
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["letter.txt"]


def test_opening_says_what_is_wrong(tmp_path: Path) -> None:
    key = KeySource.new_key_file(tmp_path / "key")
    url = f"file://{tmp_path}/vault"
    with pytest.raises(VaultError, match="no vault"):
        open_vault(url, key)
    with pytest.raises(VaultError, match="no known kind"):
        open_vault("http://localhost/vault", key)
    create_vault(url, key, vault_id=VAULT_ID)
    assert open_vault(url, key).vault_id == VAULT_ID
    with pytest.raises(VaultKeyWrong):
        open_vault(url, KeySource.new_key_file(tmp_path / "other key"))
    config = tmp_path / "vault" / "config"
    stored = bytearray(config.read_bytes())
    stored[4] += 1
    config.write_bytes(stored)
    with pytest.raises(VaultFormatUnsupported):
        open_vault(url, key)


def test_nothing_readable_reaches_the_storage(tmp_path: Path) -> None:
    """Names and content are hidden: no object holds a known word, and no name tells a VM or a point."""
    vault = new_vault(tmp_path)
    back_up(vault, "1789", b"plain words of a letter. " * 40_000)
    for stored in LocalStorage(tmp_path).list(""):
        content = LocalStorage(tmp_path).get(stored.name)
        assert b"plain words" not in content
        assert b"mail" not in content
        assert "1789" not in stored.name


@pytest.mark.parametrize("mounted", [False, True])
def test_nothing_is_written_where_the_vault_was(tmp_path: Path, mounted: bool) -> None:
    """As when a network file system goes away under a service that has the vault open."""
    directory = tmp_path / "vault"
    vault = new_vault(directory)
    directory.rename(tmp_path / "away")
    if mounted:
        directory.mkdir()
    with pytest.raises(VaultError, match="not mounted") as caught, vault.session("1"):
        pass
    assert caught.value.code == "VaultUnavailable"
    assert not mounted or list(directory.iterdir()) == []
    assert directory.exists() is mounted


def test_another_vault_in_the_place_of_an_open_one_is_not_written_to(tmp_path: Path) -> None:
    directory = tmp_path / "vault"
    vault = new_vault(directory)
    directory.rename(tmp_path / "away")
    create_vault(directory.as_uri(), key(), vault_id=uuid4())
    with pytest.raises(VaultDataCorrupt), vault.session("1"):
        pass
