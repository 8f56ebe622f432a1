"""Points copied into a vault with another key are the same points, whatever happens on the way."""

from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overwinter.model.errors import (
    AlreadyExists,
    JobCancelled,
    NotFound,
    VaultDataCorrupt,
    VaultObjectMissing,
)
from overwinter.model.extent import Extent
from overwinter.model.protection import KeyKind
from overwinter.vault import DiskMap, KeySource, Manifest, VaultStore
from overwinter.vault.copy import CopyStats, bytes_to_copy, copy_points
from overwinter.vault.keys.random_key import RandomKey
from overwinter.vault.reader import DiskReader
from overwinter.vault.storage import LocalStorage
from overwinter.vault.store import create_vault_on, open_vault_on
from tests.vault.disks import (
    CHUNK,
    DEAD,
    NOW,
    VM_ID,
    back_up,
    manifest,
    new_vault,
    noise,
    read_from,
    reopen,
    restore,
)
from tests.vault.faults import Died, DyingStorage

MIB = 1024 * 1024
OTHER_KEY = KeySource(RandomKey(KeyKind.KEY_FILE, bytes(range(1, 33))))
OTHER_VAULT = VM_ID
SIZES = pytest.mark.parametrize(
    "chunk_size", [CHUNK, 4 * CHUNK, 64 * CHUNK], ids=lambda size: f"{size >> 10}K"
)


def second_site(directory: Path, chunk_size: int = CHUNK) -> VaultStore:
    return create_vault_on(LocalStorage(directory), str(directory), OTHER_KEY, OTHER_VAULT, chunk_size)


def reopen_second(directory: Path, storage: LocalStorage | None = None) -> VaultStore:
    """The second site as a process has it open that dies with its storage, where one is given."""
    presence = None if storage is None else DEAD
    return open_vault_on(storage or LocalStorage(directory), str(directory), OTHER_KEY, presence=presence)


def contents(vault: VaultStore) -> dict[str, list[bytes]]:
    return {found.point_id: [restore(vault, disk.map) for disk in found.disks] for found in vault.manifests()}


def without_maps(found: Manifest) -> Manifest:
    return replace(
        found, disks=tuple(replace(disk, map=DiskMap(disk.map.size, b"", 0)) for disk in found.disks)
    )


def changed(disk: bytes, *changes: tuple[int, bytes]) -> bytes:
    result = bytearray(disk)
    for offset, data in changes:
        result[offset : offset + len(data)] = data
    return bytes(result)


def two_points(vault: VaultStore) -> tuple[bytes, bytes]:
    """8 MiB of data between zeros; then one chunk differs, one range is zero."""
    first = bytes(MIB) + noise(1, 8 * MIB) + bytes(3 * MIB) + noise(2, 700)
    second = changed(first, (3 * MIB, noise(3, CHUNK)), (6 * MIB, bytes(2 * MIB)))
    parent = back_up(vault, "1", first)
    back_up(vault, "2", second, [Extent(3 * MIB, CHUNK), Extent(6 * MIB, 2 * MIB)], parent)
    return first, second


@SIZES
def test_only_what_is_missing_is_read_and_stored(tmp_path: Path, chunk_size: int) -> None:
    source, target = new_vault(tmp_path / "source"), second_site(tmp_path / "target", chunk_size)
    first, second = two_points(source)
    stats = copy_points(source, target, ["1"])
    assert stats.points_copied == 1
    assert 8 * MIB < stats.bytes_read <= 8 * MIB + CHUNK
    stats = copy_points(source, target)
    assert (stats.points_copied, stats.points_present) == (1, 1)
    assert stats.bytes_read == stats.bytes_new == CHUNK
    again = copy_points(source, target)
    assert again == CopyStats(points_present=2)
    opened = reopen_second(tmp_path / "target")
    assert contents(opened) == {"1": [first], "2": [second]}
    assert list(map(without_maps, opened.manifests())) == list(map(without_maps, source.manifests()))
    assert {disk.map.chunk_size for found in opened.manifests() for disk in found.disks} == {CHUNK}


def test_a_larger_chunk_size_may_be_in_the_source(tmp_path: Path) -> None:
    source = new_vault(tmp_path / "source", chunk_size=64 * CHUNK)
    target = second_site(tmp_path / "target")
    first, second = two_points(source)
    assert copy_points(source, target).points_copied == 2
    assert contents(target) == {"1": [first], "2": [second]}


def test_points_of_two_chunk_sizes_go_on_to_a_third_vault(tmp_path: Path) -> None:
    """A vault holds points of its own and copies from one that cuts larger chunks."""
    larger = new_vault(tmp_path / "larger", chunk_size=4 * CHUNK)
    first, second = two_points(larger)
    between = second_site(tmp_path / "between")
    copy_points(larger, between)
    third = changed(second, (5 * MIB, noise(8, CHUNK)))
    back_up(between, "3", third)
    last = new_vault(tmp_path / "last")
    assert copy_points(between, last).points_copied == 3
    assert contents(last) == {"1": [first], "2": [second], "3": [third]}


def test_what_a_copy_will_read_is_known_before(tmp_path: Path) -> None:
    source, target = new_vault(tmp_path / "source"), second_site(tmp_path / "target")
    two_points(source)
    for wanted in (["2"], None, None):
        expected = bytes_to_copy(source, target, wanted)
        assert copy_points(source, target, wanted).bytes_read == expected
    assert expected == 0
    back_up(target, "3", noise(8, 2 * CHUNK))
    assert bytes_to_copy(target, source) == 2 * CHUNK
    assert bytes_to_copy(source, second_site(tmp_path / "empty")) < 10 * MIB, "an increment counts as one"


def test_the_target_tells_nothing_of_the_source(tmp_path: Path) -> None:
    source, target = new_vault(tmp_path / "source"), second_site(tmp_path / "target")
    two_points(source)
    copy_points(source, target)
    assert {found.disks[0].map.root for found in source.manifests()}.isdisjoint(
        found.disks[0].map.root for found in target.manifests()
    )


def test_a_parent_that_the_target_lacks_is_made_up_for(tmp_path: Path) -> None:
    source, target = new_vault(tmp_path / "source"), second_site(tmp_path / "target")
    first, second = two_points(source)
    assert copy_points(source, target, ["2"]).bytes_read > 6 * MIB
    assert contents(target) == {"2": [second]}
    stats = copy_points(source, target)  # no earlier point to build upon: read in full, stored in part
    assert stats.bytes_new < 3 * MIB < 8 * MIB < stats.bytes_read
    assert contents(target) == {"1": [first], "2": [second]}


def test_a_disk_that_grew_and_a_new_one_are_copied_in_full(tmp_path: Path) -> None:
    source, target = new_vault(tmp_path / "source"), second_site(tmp_path / "target")
    disks = [noise(1, 2 * MIB), noise(1, 2 * MIB) + noise(2, MIB), noise(3, 5000)]
    back_up(source, "1", disks[0])
    with source.session("2") as session:
        maps = [
            session.store_disk("", len(disk), [Extent(0, len(disk))], read_from(disk)) for disk in disks[1:]
        ]
        session.commit(manifest("2", *maps))
    stats = copy_points(source, target)
    assert stats.bytes_read > 5 * MIB
    assert stats.bytes_new == 3 * MIB + 5000
    assert contents(target) == {"1": disks[:1], "2": disks[1:]}


def test_deleted_points_are_not_copied_nor_brought_back(tmp_path: Path) -> None:
    source, target = new_vault(tmp_path / "source"), second_site(tmp_path / "target")
    two_points(source)
    source.delete_point("1", now=NOW, until=NOW.replace(year=2030))
    with pytest.raises(NotFound, match="no recovery point 1"):
        copy_points(source, target, ["2", "1"])
    copy_points(source, target)
    target.delete_point("2", now=NOW, until=NOW.replace(year=2030))
    assert copy_points(source, target) == CopyStats(points_present=1)
    assert target.manifests() == []


def test_another_point_of_the_same_id_is_refused(tmp_path: Path) -> None:
    source, target = new_vault(tmp_path / "source"), second_site(tmp_path / "target")
    back_up(source, "1", noise(1, MIB))
    back_up(target, "1", noise(1, 2 * MIB))
    with pytest.raises(AlreadyExists, match="another recovery point 1"):
        copy_points(source, target)


def test_progress_and_cancelling(tmp_path: Path) -> None:
    source, target = new_vault(tmp_path / "source"), second_site(tmp_path / "target")
    two_points(source)
    seen: list[int] = []

    calls = count()

    def cancelled() -> None:
        if next(calls) == 2:  # with the second batch
            raise JobCancelled("stop")

    with pytest.raises(JobCancelled):
        copy_points(source, target, cancelled=cancelled)
    assert target.manifests() == []
    seen.clear()
    stats = copy_points(source, target, progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == stats.bytes_read


def test_a_copy_that_is_not_the_same_is_not_committed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that loses a chunk stands for any defect of ours between reading and the map."""
    source = new_vault(tmp_path / "source")
    first, second = two_points(source)
    original = DiskReader.read

    def read(self: DiskReader, offset: int, buffer: memoryview) -> None:
        original(self, offset, buffer)
        if offset <= 3 * MIB < offset + len(buffer):
            buffer[3 * MIB - offset :][:CHUNK] = lost

    for lost in (bytes(CHUNK), first[3 * MIB : 3 * MIB + CHUNK]):
        target = second_site(tmp_path / f"target{lost[0]}")
        if any(lost):
            copy_points(source, target, ["1"])
        with (
            monkeypatch.context() as patch,
            pytest.raises(VaultDataCorrupt, match=r"disk vda|differs from its map"),
        ):
            patch.setattr(DiskReader, "read", read)
            copy_points(source, target)
        copy_points(source, target)
        assert contents(target) == {"1": [first], "2": [second]}


def test_a_damaged_source_is_said(tmp_path: Path) -> None:
    source, target = new_vault(tmp_path / "source"), second_site(tmp_path / "target")
    two_points(source)
    packs = LocalStorage(tmp_path / "source").list("packs/")
    largest = tmp_path / "source" / max(packs, key=lambda pack: pack.size).name
    stored = bytearray(largest.read_bytes())
    stored[len(stored) // 2] ^= 1
    largest.write_bytes(stored)
    with pytest.raises(VaultDataCorrupt):
        copy_points(reopen(tmp_path / "source"), target)
    assert target.manifests() == []
    largest.unlink()
    with pytest.raises(VaultObjectMissing):
        copy_points(reopen(tmp_path / "source"), target)


@pytest.mark.parametrize("gone", ["the point", "its parent in the source", "its parent in the target"])
def test_points_that_are_collected_meanwhile(tmp_path: Path, gone: str) -> None:
    source, target = new_vault(tmp_path / "source"), second_site(tmp_path / "target")
    disks = {"1": noise(1, 2 * MIB), "2": noise(2, 2 * MIB), "3": noise(2, MIB) + noise(3, MIB)}
    for point, disk in disks.items():
        back_up(source, point, disk)
    copy_points(source, target, ["1"])
    other, point = {
        "the point": (reopen(tmp_path / "source"), "2"),
        "its parent in the source": (reopen(tmp_path / "source"), "1"),
        "its parent in the target": (reopen_second(tmp_path / "target"), "1"),
    }[gone]
    calls = count()

    def cancelled() -> None:
        if next(calls) == 1:  # both vaults were listed
            other.delete_point(point, now=NOW)
            assert other.collect(now=NOW).packs_removed > 0

    stats = copy_points(source, target, cancelled=cancelled)
    if gone == "the point":
        assert (stats.points_copied, stats.points_gone) == (1, 1)
        del disks["2"]
    else:
        assert (stats.points_copied, stats.points_gone) == (2, 0)
    if gone == "its parent in the target":
        del disks["1"]
    assert contents(reopen_second(tmp_path / "target")) == {point: [disk] for point, disk in disks.items()}


def test_collections_of_both_vaults_while_it_reads(tmp_path: Path) -> None:
    """The source's packs are repacked between any two batches, the target's are not touched."""
    source, target = new_vault(tmp_path / "source"), second_site(tmp_path / "target")
    disk = noise(1, 24 * MIB)
    back_up(source, "1", disk)
    back_up(source, "2", disk[: 20 * MIB])
    others = reopen(tmp_path / "source"), reopen_second(tmp_path / "target")
    collected = []

    def progress(done: int) -> None:
        if not collected:
            others[0].delete_point("1", now=NOW)
            collected.extend(other.collect(now=NOW) for other in others)

    copy_points(source, target, ["2"], progress=progress)
    assert collected[0].bytes_copied > 20 * MIB
    assert collected[1].waiting_for == 1
    target.collect(now=NOW)
    assert contents(reopen_second(tmp_path / "target")) == {"2": [disk[: 20 * MIB]]}


@dataclass(frozen=True)
class Step:
    """Chunks (number, seed; 0: zeros) written to two disks before a point, and what happens then."""

    writes: list[list[tuple[int, int]]]
    delete: int | None
    collect: bool
    copy_dies_after: int | None


CHUNKS = 40
STEPS = st.builds(
    Step,
    writes=st.lists(
        st.lists(st.tuples(st.integers(0, CHUNKS - 1), st.integers(0, 6)), max_size=6), min_size=2, max_size=2
    ),
    delete=st.none() | st.integers(0, 5),
    collect=st.booleans(),
    copy_dies_after=st.none() | st.integers(0, 12),
)


@settings(max_examples=10)
@given(
    steps=st.lists(STEPS, min_size=1, max_size=6),
    chunk_size=st.sampled_from([CHUNK, 4 * CHUNK]),
    source_chunk_size=st.sampled_from([CHUNK, 8 * CHUNK]),
)
def test_any_history(
    tmp_path_factory: pytest.TempPathFactory, steps: list[Step], chunk_size: int, source_chunk_size: int
) -> None:
    base = tmp_path_factory.mktemp("copy")
    source = new_vault(base / "source", chunk_size=source_chunk_size)
    second_site(base / "target", chunk_size)
    disks = [bytearray(CHUNKS * CHUNK + 100), bytearray(CHUNKS * CHUNK)]
    maps: list[DiskMap | None] = [None, None]
    truth: dict[str, list[bytes]] = {}
    for number, step in enumerate(steps):
        changes = [write(disk, writes) for disk, writes in zip(disks, step.writes, strict=True)]
        with source.session(str(number)) as session:
            maps = [
                session.store_disk("", len(disk), extents, read_from(disk), parent)
                for disk, extents, parent in zip(disks, changes, maps, strict=True)
            ]
            session.commit(manifest(str(number), *[found for found in maps if found is not None]))
        truth[str(number)] = [bytes(disk) for disk in disks]
        if step.delete is not None and step.delete < number and str(step.delete) in truth:
            source.delete_point(str(step.delete), now=NOW)
            del truth[str(step.delete)]
        if step.collect:
            source.collect(now=NOW)
        if step.copy_dies_after is not None:
            dying = DyingStorage(base / "target", step.copy_dies_after)
            with suppress(Died):
                copy_points(source, reopen_second(base / "target", dying))
            if step.collect:
                reopen_second(base / "target").collect(now=NOW)
    target = reopen_second(base / "target")
    copy_points(source, target)
    found = contents(reopen_second(base / "target"))
    assert {point: found[point] for point in truth} == truth
    assert copy_points(source, target).points_copied == 0
    target.collect(now=NOW)
    assert contents(reopen_second(base / "target")) == found


def write(disk: bytearray, writes: list[tuple[int, int]]) -> list[Extent]:
    for chunk, seed in writes:
        disk[chunk * CHUNK : (chunk + 1) * CHUNK] = noise(seed, CHUNK) if seed else bytes(CHUNK)
    return [Extent(chunk * CHUNK, CHUNK) for chunk in sorted({chunk for chunk, _ in writes})]


def test_a_copy_that_died_anywhere_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("overwinter.vault.pack.PACK_SIZE", MIB // 4)
    monkeypatch.setattr("overwinter.vault.session._BATCH_BYTES", MIB // 4)
    source = new_vault(tmp_path / "source")
    disk = noise(1, 2 * MIB)
    back_up(source, "1", disk)
    back_up(source, "2", changed(disk, (MIB, noise(2, CHUNK))))
    second_site(tmp_path / "target")
    for steps in count():
        try:
            stats = copy_points(
                source, reopen_second(tmp_path / "target", DyingStorage(tmp_path / "target", steps))
            )
        except Died:
            continue
        break
    assert steps >= 6
    assert stats.bytes_new <= CHUNK, "what was stored before was not found again"
    assert contents(reopen_second(tmp_path / "target")) == contents(source)
