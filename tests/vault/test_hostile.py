"""Damaged vaults: an error of the house that names the damage, or correct data; never wrong data."""

from pathlib import Path

import pytest

from overwinter.model.errors import NotFound, VaultDataCorrupt, VaultError, VaultObjectMissing
from overwinter.vault import VaultStore
from overwinter.vault.storage import LocalStorage
from tests.vault.disks import CHUNK, back_up, new_vault, noise, reopen, restore

DISK = b"text " * 820 + bytes(CHUNK) + noise(2, 300)


def read_all(directory: Path) -> None:
    """Open and restore; whatever comes back must be right."""
    vault = reopen(directory)
    for found in vault.manifests():
        disk = found.disks[0].map
        assert found.vm_name == "mail"
        written: dict[int, bytes] = {}
        try:
            vault.restore_disk(disk, lambda at, data, to=written: to.update({at: data}), target="vda")  # type: ignore[misc]
        finally:
            for offset, data in written.items():
                assert data == DISK[offset : offset + len(data)], "wrong data was handed on"
        assert restore(vault, disk) == DISK


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    back_up(new_vault(tmp_path), "1", DISK)
    read_all(tmp_path)
    return tmp_path


def test_every_flipped_byte_is_detected_or_harmless(directory: Path) -> None:
    silent: dict[str, int] = {}
    for stored in LocalStorage(directory).list(""):
        path = directory / stored.name
        content = path.read_bytes()
        for position in range(len(content)):
            damaged = bytearray(content)
            damaged[position] ^= 1 << position % 8
            path.write_bytes(damaged)
            try:
                read_all(directory)
            except VaultError:
                continue
            silent[stored.name] = silent.get(stored.name, 0) + 1
        path.write_bytes(content)
    # Only a pack's directory and its place are not needed to read disks: the index stands for them.
    assert all(name.startswith("packs/") for name in silent), silent
    assert sum(silent.values()) < 600, silent


@pytest.mark.parametrize("kind", ["config", "keys", "index", "packs", "manifests"])
def test_truncated_emptied_garbled_and_removed_objects(directory: Path, kind: str) -> None:
    (path,) = [directory / s.name for s in LocalStorage(directory).list("") if s.name.startswith(kind)]
    content = path.read_bytes()
    for damaged in (b"", content[:1], content[:39], content[: len(content) // 2], noise(5, len(content))):
        path.write_bytes(damaged)
        with pytest.raises(VaultError):
            read_all(directory)
    path.unlink()
    if kind == "manifests":
        with pytest.raises(NotFound):
            reopen(directory).manifest("1")
    else:
        with pytest.raises(VaultError):
            read_all(directory)


def test_objects_cannot_stand_for_one_another(directory: Path) -> None:
    """A pack, an index or a manifest put in the place of another of its kind does not open."""
    vault = reopen(directory)
    back_up(vault, "2", noise(7, len(DISK)))
    for kind in ("packs/", "index/", "manifests/"):
        first, second = (directory / stored.name for stored in LocalStorage(directory).list(kind))
        kept = first.read_bytes(), second.read_bytes()
        first.write_bytes(kept[1])
        with pytest.raises(VaultDataCorrupt):
            everything(reopen(directory))
        first.write_bytes(kept[0])


def test_damage_names_disk_offset_and_object(tmp_path: Path) -> None:
    back_up(new_vault(tmp_path), "1", bytes(CHUNK) + noise(2, CHUNK))
    (pack,) = LocalStorage(tmp_path).list("packs/")
    path = tmp_path / pack.name
    content = bytearray(path.read_bytes())
    content[1000] ^= 1
    path.write_bytes(content)
    vault = reopen(tmp_path)
    disk = vault.manifests()[0].disks[0].map
    with pytest.raises(VaultDataCorrupt, match=f"Disk sda, offset 4096: .*{pack.name} at byte 40"):
        restore(vault, disk, "sda")
    with pytest.raises(VaultDataCorrupt, match="offset 4096"):
        vault.read_range(disk, 5000, 10)
    vault = reopen(tmp_path)
    path.unlink()
    with pytest.raises(VaultObjectMissing, match=pack.name):
        restore(vault, disk)
    with pytest.raises(VaultObjectMissing, match="Disk vda: A page of the disk is missing"):
        restore(reopen(tmp_path), disk)


def everything(vault: VaultStore) -> None:
    for found in vault.manifests():
        restore(vault, found.disks[0].map)
