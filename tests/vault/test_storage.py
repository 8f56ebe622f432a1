"""The local directory: create-only, whole or not at all, and clear about what is wrong."""

import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from overwinter.model.errors import (
    AlreadyExists,
    VaultDataCorrupt,
    VaultObjectMissing,
    VaultStorageFull,
)
from overwinter.vault.storage import LocalStorage, StoredObject
from tests.vault.disks import NOW, back_up, new_vault, noise, reopen, restore

MIB = 1024 * 1024


def test_objects_are_written_once_and_read_back(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path / "new")
    storage.put("packs/ab/1", [b"first ", memoryview(b"second")])
    assert storage.get("packs/ab/1") == b"first second"
    assert storage.get_range("packs/ab/1", 6, 3) == b"sec"
    assert storage.list("") == storage.list("packs/") == [StoredObject("packs/ab/1", 12)]
    with pytest.raises(AlreadyExists):
        storage.put("packs/ab/1", [b"other"])
    assert storage.get("packs/ab/1") == b"first second"
    storage.delete(["packs/ab/1", "packs/zz/none"])
    assert storage.list("") == []
    assert list((tmp_path / "new" / "tmp").iterdir()) == []


def test_what_is_missing_or_short_is_said(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    storage.put("a", [b"12345"])
    with pytest.raises(VaultObjectMissing, match="b"):
        storage.get("b")
    with pytest.raises(VaultObjectMissing):
        storage.get_range("b", 0, 1)
    with pytest.raises(VaultObjectMissing):
        storage.get("a/under")
    with pytest.raises(VaultDataCorrupt, match="truncated"):
        storage.get_range("a", 3, 3)


def test_a_listing_goes_on_while_others_remove_objects(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    for number in range(4000):
        (tmp_path / "packs" / f"{number % 8}").mkdir(parents=True, exist_ok=True)
        (tmp_path / "packs" / f"{number % 8}" / f"{number}").touch()
    names = [stored.name for stored in storage.list("packs/")]
    assert len(names) == 4000

    def remove() -> None:
        for name in names:
            (tmp_path / name).unlink()

    remover = threading.Thread(target=remove)
    remover.start()
    while left := storage.list("packs/"):
        assert {stored.name for stored in left} <= set(names)
    remover.join()


@pytest.fixture
def small_file_system(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "overwinter-test", str(tmp_path)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount here: {mounted.stderr.decode()}")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_full_storage_is_said_and_leaves_the_vault_whole(small_file_system: Path) -> None:
    vault = new_vault(small_file_system)
    kept = back_up(vault, "1", noise(1, MIB))
    disk = noise(2, 120 * MIB)  # more packs than the session has buffers for
    with pytest.raises(VaultStorageFull, match="full"):
        back_up(vault, "2", disk)
    vault.collect(now=NOW)
    vault = reopen(small_file_system)
    assert [point.point_id for point in vault.manifests()] == ["1"]
    assert restore(vault, kept) == noise(1, MIB)
    back_up(vault, "3", noise(3, MIB))
