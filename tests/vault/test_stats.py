"""What a vault says about itself, beside a slow count of the same and beside real deletions."""

import tracemalloc
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overwinter.model.errors import JobCancelled, VaultObjectMissing
from overwinter.model.extent import Extent
from overwinter.vault import DiskMap, VaultStore
from overwinter.vault.growth import Stored, growth
from overwinter.vault.index import RECORD_LENGTH, Index, IndexTable
from overwinter.vault.ownership import Ownership
from overwinter.vault.restore import open_map
from overwinter.vault.seal import BlobKind
from overwinter.vault.storage import LocalStorage
from tests.vault.disks import CHUNK, NOW, back_up, manifest, new_vault, noise, read_from, reopen

MIB = 1024 * 1024
DAY = timedelta(days=1)


def vm(number: int) -> UUID:
    return UUID(int=number)


def point(vault: VaultStore, name: str, of: int, *disks: bytes) -> list[DiskMap]:
    with vault.session(name) as session:
        maps = [session.store_disk("", len(disk), [Extent(0, len(disk))], read_from(disk)) for disk in disks]
        session.commit(replace(manifest(name, *maps), vm_uuid=vm(of), vm_name=f"vm{of}"))
    return maps


def test_an_empty_vault(tmp_path: Path) -> None:
    stats = new_vault(tmp_path).stats()
    assert (stats.logical_bytes, stats.content_bytes, stats.unique_bytes, stats.waste_bytes) == (0, 0, 0, 0)
    assert [kind.kind for kind in stats.objects] == ["config", "keys"]
    assert stats.object_count == 2
    assert stats.growth(now=NOW) is None


def test_totals(tmp_path: Path) -> None:
    vault = new_vault(tmp_path)
    disk = bytes(MIB) + noise(1, 2 * MIB) + noise(2, 100)
    point(vault, "1", 1, disk)
    point(vault, "2", 1, disk, disk[MIB:], bytes(MIB))
    stats = reopen(tmp_path).stats()
    assert [(each.logical_bytes, each.content_bytes) for each in stats.points] == [
        (3 * MIB + 100, 2 * MIB + 100),
        (6 * MIB + 200, 4 * MIB + 200),
    ]
    assert (stats.logical_bytes, stats.content_bytes) == (9 * MIB + 300, 6 * MIB + 300)
    assert stats.unique_bytes == 2 * MIB + 100
    listed = LocalStorage(tmp_path).list("")
    assert stats.stored_bytes == sum(each.size for each in listed)
    assert stats.mean_object_bytes == stats.stored_bytes / len(listed)
    assert {kind.kind: kind.objects for kind in stats.objects} == Counter(
        each.name.split("/")[0] for each in listed
    )
    (only,) = stats.vms
    assert (only.vm_name, only.points, only.logical_bytes) == ("vm1", 2, stats.logical_bytes)


def test_own_bytes_are_what_a_deletion_frees(tmp_path: Path) -> None:
    vault = new_vault(tmp_path)
    shared, one, two = noise(1, 4 * MIB), noise(2, 3 * MIB), noise(3, 2 * MIB)
    point(vault, "1", 1, shared + one)
    point(vault, "2", 1, shared + one + two)
    point(vault, "3", 2, shared)
    before = vault.stats()
    assert before.waste_bytes == 0
    assert [round(each.own_bytes / MIB, 1) for each in before.points] == [0, 2, 0]
    assert [round(each.own_bytes / MIB, 1) for each in before.vms] == [5, 0]
    assert [round(each.new_bytes / MIB) for each in before.points] == [7, 2, 0]
    vault.delete_point("1", now=NOW)
    vault.delete_point("2", now=NOW)
    wasteful = vault.stats()
    assert wasteful.waste_bytes == pytest.approx(before.vms[0].own_bytes, rel=0.01)
    vault.collect(now=NOW)
    after = vault.stats()
    assert before.stored_bytes - after.stored_bytes == pytest.approx(before.vms[0].own_bytes, rel=0.05)
    assert after.waste_bytes < 0.05 * after.stored_bytes


def test_deleted_points_count_and_are_marked(tmp_path: Path) -> None:
    vault = new_vault(tmp_path)
    point(vault, "1", 1, noise(1, MIB))
    point(vault, "2", 1, noise(2, MIB))
    vault.delete_point("1", now=NOW, until=NOW + DAY)
    stats = vault.stats()
    assert [each.deleted for each in stats.points] == [True, False]
    assert stats.waste_bytes == 0
    assert stats.content_bytes == 2 * MIB


def test_what_a_session_left_behind_is_waste(tmp_path: Path) -> None:
    vault = new_vault(tmp_path)
    point(vault, "1", 1, noise(1, MIB))
    with vault.session("2") as session:
        session.store_disk("", MIB, [Extent(0, MIB)], read_from(noise(2, MIB)))
        session.flush()
    assert vault.stats().waste_bytes == pytest.approx(MIB, rel=0.02)


def blobs_of(vault: VaultStore, disk: DiskMap) -> set[bytes]:
    """Ids of all that a map needs, one by one."""
    pages: set[bytes] = {disk.root}
    reader = open_map(vault._blobs, disk)
    reader._load = lambda page: (pages.add(page), vault._blobs.read(BlobKind.PAGE, page))[1]  # type: ignore[func-returns-value]
    chunks = {chunk.id for chunk in reader.chunks()}
    return chunks | pages


@settings(max_examples=12)
@given(
    points=st.lists(
        st.tuples(st.integers(1, 3), st.lists(st.lists(st.integers(0, 5), max_size=8), max_size=2)),
        min_size=1,
        max_size=6,
    )
)
def test_the_same_as_counted_one_by_one(
    tmp_path_factory: pytest.TempPathFactory, points: list[tuple[int, list[list[int]]]]
) -> None:
    vault = new_vault(tmp_path_factory.mktemp("stats"))
    needs: list[tuple[int, set[bytes]]] = []
    for number, (of, disks) in enumerate(points):
        # Leaves of 128 chunks: only with more of them a map has pages above.
        contents = [
            b"".join(noise(seed, CHUNK) if seed else bytes(200 * CHUNK) for seed in disk) for disk in disks
        ]
        maps = point(vault, str(number), of, *contents)
        needs.append((of, {each for disk in maps for each in blobs_of(vault, disk)}))
    places = {each: vault._blobs.index.find(each) for _, needed in needs for each in needed}
    counts = Counter((place.pack, place.offset) for place in places.values() if place)
    share = {
        each: place.length // counts[place.pack, place.offset] for each, place in places.items() if place
    }
    stats = vault.stats()
    known: set[bytes] = set()
    for number, (found, (_, needed)) in enumerate(zip(stats.points, needs, strict=True)):
        others = set[bytes]().union(*(their for other, (_, their) in enumerate(needs) if other != number))
        assert found.own_bytes == sum(share[each] for each in needed - others)
        assert found.new_bytes == sum(share[each] for each in needed - known)
        known |= needed
    for found_vm in stats.vms:
        of = found_vm.vm_uuid.int
        its = set[bytes]().union(*(needed for other, needed in needs if other == of))
        others = set[bytes]().union(*(needed for other, needed in needs if other != of))
        assert found_vm.own_bytes == sum(share[each] for each in its - others)


def test_points_that_are_collected_meanwhile_are_left_out(tmp_path: Path) -> None:
    vault, other = new_vault(tmp_path), reopen(tmp_path)
    point(vault, "1", 1, noise(1, 4 * MIB))
    point(vault, "2", 1, noise(2, 4 * MIB))
    calls = []

    def cancelled() -> None:
        if not calls:
            other.delete_point("2", now=NOW)
            assert other.collect(now=NOW).packs_removed == 1
        calls.append(1)

    assert [each.point_id for each in vault.stats(cancelled).points] == ["1"]


def test_damage_is_said(tmp_path: Path) -> None:
    vault = new_vault(tmp_path)
    point(vault, "1", 1, noise(1, MIB))
    for stored in LocalStorage(tmp_path).list("packs/"):
        (tmp_path / stored.name).unlink()
    with pytest.raises(VaultObjectMissing):
        reopen(tmp_path).stats()


def test_it_can_be_cancelled(tmp_path: Path) -> None:
    def cancelled() -> None:
        raise JobCancelled("stop")

    vault = new_vault(tmp_path)
    back_up(vault, "1", noise(1, MIB))
    with pytest.raises(JobCancelled):
        vault.stats(cancelled)


def test_memory_per_record() -> None:
    records = 500_000
    random = np.random.default_rng(1)
    stored = random.integers(0, 256, (records, RECORD_LENGTH), np.uint8)
    stored[:, 16:22] = 0  # few packs
    stored[:, 24:28] = stored[:, 28:32] & 0x3F
    index = Index()
    index.add(IndexTable.of(bytes(each) for each in stored))
    snapshot = index.snapshot()
    tracemalloc.start()
    owners = Ownership(snapshot, [0])
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert owners.memory_bytes == 14 * records
    assert held < 14.5 * records
    assert peak < 16 * records


def stored(day: float, new_bytes: int) -> Stored:
    return Stored(NOW + day * DAY, new_bytes)


def test_growth_is_the_trend_of_most_days() -> None:
    points = [stored(day, 1000 if day != 5 else 50_000) for day in range(30)]
    found = growth(points[::-1], now=NOW + 30 * DAY, free_bytes=10_000)
    assert found is not None
    assert found.points == 30
    assert 1000 <= found.bytes_per_day < 3000
    assert found.full == NOW + 30 * DAY + 10_000 / found.bytes_per_day * DAY


def test_growth_of_a_steady_vault_is_exact() -> None:
    found = growth([stored(day / 4, 250) for day in range(9)], now=NOW, free_bytes=7000)
    assert found is not None
    assert found.bytes_per_day == pytest.approx(1000)
    assert found.full is not None
    assert abs(found.full - (NOW + 7 * DAY)) < timedelta(seconds=1)


@pytest.mark.parametrize(
    "points", [[], [stored(1, 5), stored(2, 5)], [stored(1, 5)] * 3], ids=["none", "two", "all at once"]
)
def test_too_little_is_known_for_a_trend(points: list[Stored]) -> None:
    assert growth(points, now=NOW, free_bytes=100) is None


@pytest.mark.parametrize(("new_bytes", "free"), [(0, 1000), (1, 10**9), (1000, None)])
def test_a_storage_that_will_not_be_full(new_bytes: int, free: int | None) -> None:
    found = growth([stored(day, new_bytes) for day in range(3)], now=NOW, free_bytes=free)
    assert found is not None
    assert found.full is None


def test_the_first_point_of_each_vm_is_no_growth(tmp_path: Path) -> None:
    vault = new_vault(tmp_path)
    disk = bytearray(noise(0, 4 * MIB))
    for number in range(8):
        disk[number * CHUNK : (number + 1) * CHUNK] = noise(100 + number, CHUNK)
        point(vault, str(number * 1440), 1, bytes(disk))
        if number == 4:
            point(vault, str(number * 1440 + 1), 2, noise(99, 4 * MIB))
    found = vault.stats().growth(now=NOW)
    assert found is not None
    assert found.points == 7
    assert CHUNK < found.bytes_per_day < 3 * 16 * 1024 + 2 * CHUNK
