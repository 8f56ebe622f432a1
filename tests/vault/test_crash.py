"""The vault after a crash between any two changes of its storage."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from overwinter.model.errors import VaultError
from overwinter.model.extent import Extent
from overwinter.vault import VaultStore, packing, rebuild_index
from overwinter.vault.pack import PACK_SIZE
from overwinter.vault.storage import LocalStorage
from tests.vault.disks import DEAD, NOW, back_up, key, new_vault, noise, read_from, reopen, restore
from tests.vault.faults import Died, DyingStorage

MIB = 1024 * 1024
SMALL = PACK_SIZE // 512
PART = 128 * 1024
FIRST = noise(1, 3 * PART)
SECOND = FIRST[:PART] + noise(2, 2 * PART)


@pytest.fixture(autouse=True)
def small_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Packs and segments of 64 KiB, so that a small disk makes many."""
    monkeypatch.setattr("overwinter.vault.pack.PACK_SIZE", SMALL)
    monkeypatch.setattr("overwinter.vault.session._BATCH_BYTES", SMALL)


def points(vault: VaultStore) -> dict[str, bytes]:
    return {found.point_id: restore(vault, found.disks[0].map) for found in vault.manifests()}


def crashes(base: Path, work: Path, action: Callable[[VaultStore], object]) -> int:
    """Run ``action`` on copies of a vault, dying one change later each time; yields after each death."""
    steps = 0
    while True:
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(base, work)
        try:
            action(reopen(work, DyingStorage(work, steps), DEAD))
        except Died:
            check_after_crash(work)
            steps += 1
            continue
        return steps


def check_after_crash(work: Path) -> None:
    """Committed points are whole, and the vault can be used: back up, collect, index from packs."""
    vault = reopen(work)
    found = points(vault)
    assert {"1": FIRST}.items() <= found.items() or "1" not in found
    assert all(disk in (FIRST, SECOND) for disk in found.values())
    back_up(vault, "9", SECOND)
    after = vault.collect(now=NOW)
    assert vault.collect(now=NOW).packs_removed == 0
    assert points(reopen(work)) == {**found, "9": SECOND}
    assert after.packs_kept == len(LocalStorage(work).list("packs/"))
    rebuild_index(f"file://{work}", key())
    assert points(reopen(work)) == {**found, "9": SECOND}


def test_creation(tmp_path: Path) -> None:
    for steps in range(2):
        with pytest.raises(Died):
            new_vault(tmp_path, DyingStorage(tmp_path, steps))
        with pytest.raises(VaultError, match="no vault"):
            reopen(tmp_path)
    back_up(new_vault(tmp_path), "1", FIRST)
    assert points(reopen(tmp_path)) == {"1": FIRST}
    assert len(LocalStorage(tmp_path).list("keys/")) == 1


def test_backup(tmp_path: Path) -> None:
    back_up(new_vault(tmp_path / "base"), "1", FIRST)
    steps = crashes(
        tmp_path / "base", tmp_path / "work", lambda vault: back_up(vault, "2", SECOND, None, None)
    )
    assert steps >= 6


def test_increment(tmp_path: Path) -> None:
    parent = back_up(new_vault(tmp_path / "base"), "1", FIRST)
    change = [Extent(PART, 2 * PART)]
    steps = crashes(
        tmp_path / "base", tmp_path / "work", lambda vault: back_up(vault, "2", SECOND, change, parent)
    )
    assert steps >= 6


def test_delete_and_collect(tmp_path: Path) -> None:
    vault = new_vault(tmp_path / "base")
    back_up(vault, "1", FIRST)
    back_up(vault, "2", SECOND)

    def action(vault: VaultStore) -> None:
        vault.delete_point("1", now=NOW)
        vault.collect(now=NOW)

    assert crashes(tmp_path / "base", tmp_path / "work", action) >= 8


def test_a_transfer_that_died_late_stores_little_twice(tmp_path: Path) -> None:
    disk = noise(5, 4 * MIB)
    new_vault(tmp_path / "base")
    shutil.copytree(tmp_path / "base", tmp_path / "whole")
    with reopen(tmp_path / "whole").session("1") as session:
        session.store_disk("vda", len(disk), [Extent(0, len(disk))], read_from(disk))
    objects = len(LocalStorage(tmp_path / "whole").list(""))
    with pytest.raises(Died):
        back_up(reopen(tmp_path / "base", DyingStorage(tmp_path / "base", objects - 8), DEAD), "1", disk)
    with reopen(tmp_path / "base").session("1") as session:
        session.store_disk("vda", len(disk), [Extent(0, len(disk))], read_from(disk))
        lost = (packing.PACKS_PER_INDEX + 8) * SMALL
        assert session.stats.bytes_new <= lost < len(disk) / 4
