"""A vault that has filled its file system: on a real one that is small, full at every step."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest

from overwinter.model.errors import VaultError, VaultStorageFull
from overwinter.vault import VaultStore
from overwinter.vault.copy import copy_points
from overwinter.vault.reserve import RESERVE, Reserve
from overwinter.vault.storage import Buffer, LocalStorage
from tests.vault.disks import CHUNK, NOW, back_up, new_vault, noise, reopen, restore

KIB = 1024
MIB = 1024 * KIB
DAY = timedelta(days=1)
PACK = 64 * KIB

#: See ``conftest``.
WHOLE = 256 * KIB


@pytest.fixture
def mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file system of 8 MiB, and packs of 64 KiB."""
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "overwinter-test", str(tmp_path)], capture_output=True
    )
    if done.returncode:
        pytest.skip("no right to mount here")
    monkeypatch.setattr("overwinter.vault.pack.PACK_SIZE", PACK)
    monkeypatch.setattr("overwinter.vault.session._BATCH_BYTES", PACK)
    try:
        yield tmp_path
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def fill(mounted: Path) -> None:
    """Another program takes all the room there is."""
    with (mounted / "filler").open("ab", buffering=0) as filler, suppress(OSError):
        while True:
            filler.write(bytes(4 * KIB))


def put_back(base: Path, mounted: Path) -> None:
    """Nothing but a copy of the vault in ``base``."""
    (mounted / "filler").unlink(missing_ok=True)
    shutil.rmtree(mounted / "vault", ignore_errors=True)
    shutil.copytree(base, mounted / "vault")


def room(mounted: Path) -> int:
    system = os.statvfs(mounted)
    return system.f_bavail * system.f_frsize


class FillingStorage(LocalStorage):
    """Carries out ``steps`` changes; before the next one the file system is full."""

    def __init__(self, mounted: Path, steps: int) -> None:
        super().__init__(mounted / "vault")
        self._mounted = mounted
        self.steps = steps

    def put(self, name: str, parts: Sequence[Buffer]) -> None:
        self._step()
        super().put(name, parts)

    def delete(self, names: Sequence[str]) -> None:
        self._step()
        super().delete(names)

    def _step(self) -> None:
        if self.steps == 0:
            fill(self._mounted)
        self.steps -= 1

    @property
    def filled(self) -> bool:
        return self.steps < 0


def contents(vault: VaultStore) -> dict[str, bytes]:
    return {found.point_id: restore(vault, found.disks[0].map) for found in vault.manifests()}


def collect_all(vault: VaultStore, days: int = 0) -> None:
    """Collect as long as a collection makes room for the next one."""
    while True:
        stats = vault.collect(now=NOW + days * DAY)
        if not (stats.short_of_room and stats.packs_removed):
            break


def test_a_backup_fails_at_any_step_and_works_again_after_a_deletion(
    mounted: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    first, second, third = noise(1, MIB // 2), noise(2, MIB // 2), noise(3, MIB // 4)
    base = tmp_path_factory.mktemp("vault")
    back_up(new_vault(base), "1", first)
    for steps in count():
        put_back(base, mounted)
        storage = FillingStorage(mounted, steps)
        vault = reopen(mounted / "vault", storage)
        try:
            back_up(vault, "2", second)
        except VaultStorageFull:
            assert storage.filled
            known = {"1": first}
        else:
            known = {"1": first, "2": second}
        if not storage.filled:
            break
        assert room(mounted) < PACK + 16 * KIB, "less is full than should be"
        vault = reopen(mounted / "vault")
        assert contents(vault) == known
        vault.delete_point("1", now=NOW, until=NOW + DAY)
        assert vault.collect(now=NOW).points_purged == 0
        assert vault.collect(now=NOW + DAY).points_purged == 1
        back_up(vault, "3", third)
        del known["1"]
        assert contents(reopen(mounted / "vault")) == {**known, "3": third}
        assert (mounted / "vault" / RESERVE).stat().st_size == WHOLE
    assert steps >= 10


def with_gaps(disk: bytes) -> bytes:
    """Every other chunk."""
    return b"".join(disk[offset : offset + CHUNK] + bytes(CHUNK) for offset in range(0, len(disk), 2 * CHUNK))


def test_a_collection_works_full_at_any_step(mounted: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    base = tmp_path_factory.mktemp("vault")
    vault = new_vault(base)
    whole = noise(1, MIB // 2)
    back_up(vault, "1", whole)
    back_up(vault, "2", with_gaps(whole))
    back_up(vault, "3", noise(3, MIB // 4))
    vault.delete_point("1", now=NOW)
    vault.delete_point("3", now=NOW)
    known = {"2": with_gaps(whole)}
    for steps in count():
        put_back(base, mounted)
        storage = FillingStorage(mounted, steps)
        stats = reopen(mounted / "vault", storage).collect(now=NOW)
        if not storage.filled:
            break
        assert stats.packs_removed > 0
        vault = reopen(mounted / "vault")
        assert contents(vault) == known
        collect_all(vault)
        packs = LocalStorage(mounted / "vault").list("packs/")
        assert sum(pack.size for pack in packs) < 0.35 * MIB
        (mounted / "filler").unlink()  # late on it had taken what had just become free
        back_up(vault, "4", noise(4, MIB // 4))
        assert contents(reopen(mounted / "vault")) == {**known, "4": noise(4, MIB // 4)}
        assert (mounted / "vault" / RESERVE).stat().st_size == WHOLE
    assert steps >= 10


def test_packs_that_are_all_needed_in_part_make_room(mounted: Path) -> None:
    """Nothing can simply be removed: copies must fit into the reserve."""
    vault = new_vault(mounted / "vault")
    whole = noise(5, MIB)
    back_up(vault, "5", whole)
    back_up(vault, "6", with_gaps(whole))
    vault.delete_point("5", now=NOW)
    fill(mounted)
    stats = vault.collect(now=NOW)
    assert stats.short_of_room
    assert 0 < stats.bytes_freed < MIB
    collect_all(vault)
    assert contents(reopen(mounted / "vault")) == {"6": with_gaps(whole)}
    back_up(vault, "7", noise(7, MIB // 4))
    assert (mounted / "vault" / RESERVE).stat().st_size == WHOLE


@pytest.mark.parametrize("state", ["full", "read-only"])
def test_what_only_reads_works(mounted: Path, tmp_path_factory: pytest.TempPathFactory, state: str) -> None:
    disk = noise(1, MIB)
    back_up(new_vault(mounted / "vault"), "1", disk)
    if state == "full":
        fill(mounted)
        (mounted / "vault" / RESERVE).unlink()
        fill(mounted)
    else:
        subprocess.run(["mount", "-o", "remount,ro", str(mounted)], check=True)
    vault = reopen(mounted / "vault")
    assert contents(vault) == {"1": disk}
    stored = vault.manifest("1").disks[0].map
    assert vault.read_range(stored, 5000, 10_000) == disk[5000:15_000]
    assert vault.data_size(stored) == vault.stats().unique_bytes == MIB
    assert vault.deleted_points() == []
    target = new_vault(tmp_path_factory.mktemp("target"))
    assert copy_points(vault, target).points_copied == 1
    with pytest.raises(VaultStorageFull if state == "full" else VaultError):
        back_up(vault, "2", disk)
    with pytest.raises(VaultError):
        vault.collect(now=NOW)


def test_a_backup_gets_nothing_of_it(mounted: Path) -> None:
    vault = new_vault(mounted / "vault")
    fill(mounted)
    with pytest.raises(VaultStorageFull):
        back_up(vault, "1", noise(1, MIB))
    assert (mounted / "vault" / RESERVE).stat().st_blocks * 512 == WHOLE


def test_it_is_really_allocated_and_no_object(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    storage.put("a", [b"1"])
    status = (tmp_path / RESERVE).stat()
    assert status.st_blocks * 512 >= status.st_size == WHOLE
    assert [stored.name for stored in storage.list("")] == ["a"]


def test_it_is_cut_by_what_is_needed_and_made_whole(mounted: Path) -> None:
    storage = LocalStorage(mounted / "vault")
    storage.put("before", [b""])
    file = mounted / "vault" / RESERVE
    fill(mounted)
    with pytest.raises(VaultStorageFull):
        storage.put("a", [bytes(KIB)])
    with storage.use_reserve():
        assert storage.room() == WHOLE
        storage.put("a", [bytes(30 * KIB)])
        assert WHOLE - 64 * KIB < file.stat().st_size < WHOLE - 30 * KIB
        with storage.use_reserve(0.5), pytest.raises(VaultStorageFull):
            storage.put("b", [bytes(128 * KIB)])
        assert file.stat().st_size == WHOLE // 2
        storage.put("b", [bytes(100 * KIB)])
    assert storage.room() == 0 or file.stat().st_size < WHOLE
    storage.delete(["a", "b"])
    with storage.use_reserve():
        pass
    assert file.stat().st_size == WHOLE


def test_a_vault_of_before_gets_one_with_its_first_object(mounted: Path) -> None:
    back_up(new_vault(mounted / "vault"), "1", noise(1, PACK))
    (mounted / "vault" / RESERVE).unlink()
    back_up(reopen(mounted / "vault"), "2", noise(2, PACK))
    assert (mounted / "vault" / RESERVE).stat().st_size == WHOLE


def test_small_file_systems_hold_back_a_part(mounted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("overwinter.vault.reserve.LARGEST", 64 * MIB)
    new_vault(mounted / "vault")
    assert (mounted / "vault" / RESERVE).stat().st_size == MIB // 2


def test_tiny_file_systems_have_none(mounted: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=1m", str(mounted)], check=True)
    vault = new_vault(mounted / "vault")
    back_up(vault, "1", noise(1, PACK))
    vault.delete_point("1", now=NOW)
    assert vault.collect(now=NOW).packs_removed > 0
    assert not (mounted / "vault" / RESERVE).exists()


def test_other_vaults_have_their_own(tmp_path: Path) -> None:
    one, other = Reserve(tmp_path / "one"), Reserve(tmp_path / "other")
    for reserve in (one, other):
        (tmp_path / ("one" if reserve is one else "other")).mkdir()
        reserve.keep()
    with one.use(1):
        assert one.usable() == WHOLE
        assert not other.release(1)
