"""Healing: what was found damaged is stored anew by the next backup, and then serves all points."""

import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from overwinter.model.errors import VaultDataCorrupt, VaultObjectMissing
from overwinter.model.extent import Extent
from overwinter.vault import DiskMap, VaultStore
from overwinter.vault.directory import read_directory, scan
from overwinter.vault.pack import Entry, pack_name
from overwinter.vault.plan import Span, with_reread
from overwinter.vault.restore import open_map
from overwinter.vault.seal import BlobKind
from overwinter.vault.storage import LocalStorage
from tests.vault.damages import flip, names
from tests.vault.disks import CHUNK, DEAD, NOW, back_up, new_vault, noise, read_from, reopen, restore
from tests.vault.faults import Died, DyingStorage

#: More than one leaf (128 chunks), the last one not full.
DISK = noise(1, 600 * CHUNK + 100)
SEGMENT = 4 * CHUNK


@pytest.fixture(autouse=True)
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four chunks in a segment, and packs of 512 KiB."""
    monkeypatch.setattr("overwinter.vault.session._BATCH_BYTES", SEGMENT)
    monkeypatch.setattr("overwinter.vault.pack.PACK_SIZE", 512 * 1024)


@pytest.fixture
def vault(tmp_path: Path) -> VaultStore:
    vault = new_vault(tmp_path)
    back_up(vault, "1", DISK)
    return vault


def place(vault: VaultStore, blob_id: bytes) -> tuple[str, int]:
    """Object and offset of a blob's segment."""
    location = vault._blobs.index.find(blob_id)
    assert location is not None
    return pack_name(location.pack), location.offset


def chunk(vault: VaultStore, content: bytes) -> tuple[str, int]:
    return place(vault, vault._blobs.keys.identity(BlobKind.CHUNK, content))


def page_ids(vault: VaultStore, directory: Path) -> list[bytes]:
    """All pages of the vault, by reading its packs."""
    found: list[bytes] = []
    for name in names(directory, "packs/"):
        for segment in scan(vault._blobs, name):
            if segment.opened.kind is BlobKind.PAGE:
                found += [blob.id for blob in segment.blobs]
    return found


def test_the_next_increment_heals_what_the_live_disk_still_has(tmp_path: Path, vault: VaultStore) -> None:
    parent = vault.manifest("1").disks[0].map
    flip(tmp_path, *_in(chunk(vault, DISK[:CHUNK])))
    flip(tmp_path, *_in(chunk(vault, DISK[300 * CHUNK : 301 * CHUNK])))
    with pytest.raises(VaultDataCorrupt):
        restore(reopen(tmp_path), parent)
    assert not reopen(tmp_path).verify(read_percent=100).is_whole
    other = reopen(tmp_path)
    lost = [Extent(0, SEGMENT), Extent(300 * CHUNK, SEGMENT)]
    assert other.damaged_extents(parent) == lost
    disk = bytearray(DISK)
    disk[500 * CHUNK : 501 * CHUNK] = noise(5, CHUNK)
    newer = back_up(other, "2", disk, [Extent(500 * CHUNK, CHUNK)], parent)
    for again in (other, vault, reopen(tmp_path)):
        assert again.verify(read_percent=100).is_whole
        assert restore(again, parent) == DISK
        assert restore(again, newer) == disk
        assert again.damaged_extents(parent) == []
    vault.collect(now=NOW)
    assert names(tmp_path, "lost/") == []
    assert restore(reopen(tmp_path), parent) == DISK


def _in(found: tuple[str, int]) -> tuple[str, int]:
    return found[0], found[1] + 100


def test_a_damaged_manifest_of_another_point_is_in_nobodys_way(tmp_path: Path, vault: VaultStore) -> None:
    parent = vault.manifest("1").disks[0].map
    before = set(names(tmp_path, "manifests/"))
    other = back_up(vault, "2", noise(7, len(DISK)))
    (its,) = set(names(tmp_path, "manifests/")) - before
    flip(tmp_path, its, 60)
    disk = noise(8, CHUNK) + DISK[CHUNK:]
    assert restore(vault, back_up(reopen(tmp_path), "3", disk, [Extent(0, CHUNK)], parent)) == disk
    with pytest.raises(VaultObjectMissing):  # nobody can tell whether its data stays
        back_up(reopen(tmp_path), "4", disk, [Extent(0, CHUNK)], other)


def test_what_has_changed_on_the_disk_stays_lost_in_older_points_only(
    tmp_path: Path, vault: VaultStore
) -> None:
    parent = vault.manifest("1").disks[0].map
    flip(tmp_path, *_in(chunk(vault, DISK[:CHUNK])))
    vault.verify(read_percent=100)
    disk = noise(6, CHUNK) + DISK[CHUNK:]
    newer = back_up(vault, "2", disk, [Extent(0, CHUNK)], parent)
    report = vault.verify(read_percent=100)
    (damage,) = report.damages
    assert [(one.point_id, one.ranges) for one in damage.disks] == [("1", (Extent(0, CHUNK),))]
    assert restore(vault, newer) == disk
    vault.collect(now=NOW)  # goes on without what is known to be lost
    assert len(names(tmp_path, "lost/")) == 1
    assert restore(reopen(tmp_path), newer) == disk
    vault.delete_point("1", now=NOW)
    vault.collect(now=NOW)
    assert names(tmp_path, "lost/") == []
    assert vault.verify(read_percent=100).is_whole


def test_a_full_backup_heals_without_being_told(tmp_path: Path, vault: VaultStore) -> None:
    flip(tmp_path, names(tmp_path, "packs/")[0], 20)  # the header: the whole pack
    assert not vault.verify().is_whole
    back_up(vault, "2", DISK)
    assert vault.verify(read_percent=100).is_whole
    vault.collect(now=NOW)
    assert names(tmp_path, "damaged/") == []  # nothing of the pack was needed any more


@pytest.mark.parametrize("which", range(7))
def test_every_lost_page_is_healed(tmp_path: Path, vault: VaultStore, which: int) -> None:
    """Leaf pages, the page above them, and the root."""
    parent = vault.manifest("1").disks[0].map
    pages = page_ids(vault, tmp_path)
    assert len(pages) == 7
    flip(tmp_path, *_in_page(place(vault, pages[which])))
    report = reopen(tmp_path).verify()
    assert not report.is_whole
    assert report.damages[0].disks[0].length in (128 * CHUNK, len(DISK) - 512 * CHUNK, len(DISK))
    newer = back_up(reopen(tmp_path), "2", DISK, [Extent(7 * CHUNK, 1)], parent)
    assert newer == parent
    vault = reopen(tmp_path)
    assert vault.verify(read_percent=100).is_whole
    assert restore(vault, parent) == DISK


def _in_page(found: tuple[str, int]) -> tuple[str, int]:
    return found[0], found[1] + 30


def test_a_lost_page_of_what_is_now_zero(tmp_path: Path, vault: VaultStore) -> None:
    parent = vault.manifest("1").disks[0].map
    for page in page_ids(vault, tmp_path):
        flip(tmp_path, *_in_page(place(vault, page)))
    vault.verify()
    for zero in (False, True):
        blank = back_up(vault, f"{2 + zero}", bytes(len(DISK)), [Extent(0, len(DISK), zero)], parent)
        assert restore(reopen(tmp_path), blank) == bytes(len(DISK))


def test_damage_is_healed_from_the_disk_as_it_was(tmp_path: Path) -> None:
    """Also where chunks end because a backup of a part ended there."""
    vault = new_vault(tmp_path, chunk_size=16 * CHUNK)
    first = back_up(vault, "1", DISK)
    disk = bytearray(DISK)
    for number, at in enumerate((100 * CHUNK, 130 * CHUNK, 131 * CHUNK + 777)):
        disk[at : at + 5000] = noise(20 + number, 5000)
    second = back_up(vault, "2", disk, [Extent(100 * CHUNK, 40 * CHUNK)], first)
    disk[120 * CHUNK : 121 * CHUNK] = noise(30, CHUNK)
    third = back_up(vault, "3", disk, [Extent(120 * CHUNK, CHUNK)], second)
    for where in _segments_of(vault, third):
        flip(tmp_path, *_in(where))
    assert not vault.verify(read_percent=100).is_whole
    store = reopen(tmp_path)
    points = {point.point_id for point in store.manifests()}
    store.heal_disk(third, read_from(disk), target="vda")
    assert reopen(tmp_path).damaged_extents(third) == []
    assert restore(reopen(tmp_path), third) == disk
    store.heal_disk(first, read_from(DISK), target="vda")
    vault.collect(now=NOW)
    assert {point.point_id for point in reopen(tmp_path).manifests()} == points
    for healed, content in ((first, DISK), (third, disk)):
        assert restore(reopen(tmp_path), healed) == content


def test_a_disk_that_is_another_by_now_heals_nothing(tmp_path: Path, vault: VaultStore) -> None:
    disk = vault.manifest("1").disks[0].map
    flip(tmp_path, *_in(chunk(vault, DISK[:CHUNK])))
    vault.verify(read_percent=100)
    before = vault.damaged_extents(disk)
    vault.heal_disk(disk, read_from(noise(9, len(DISK))), target="vda")
    assert reopen(tmp_path).damaged_extents(disk) == before != []


def _segments_of(vault: VaultStore, disk: DiskMap) -> set[tuple[str, int]]:
    """Where the chunks of a disk are stored."""
    return {place(vault, part.id) for part in open_map(vault._blobs, disk).chunks()}


def test_a_vanished_pack_is_healed(tmp_path: Path, vault: VaultStore) -> None:
    parent = vault.manifest("1").disks[0].map
    for name in names(tmp_path, "packs/")[:2]:
        (tmp_path / name).unlink()
    vault.verify()
    back_up(reopen(tmp_path), "2", DISK, [], parent)
    assert reopen(tmp_path).verify(read_percent=100).is_whole
    assert restore(reopen(tmp_path), parent) == DISK


def test_collection_fails_closed_until_all_packs_were_searched(tmp_path: Path, vault: VaultStore) -> None:
    flip(tmp_path, *_in(chunk(vault, DISK[:CHUNK])))
    vault.verify(read_percent=100, point_id="1")
    with pytest.raises(VaultObjectMissing, match="Verify"):
        vault.collect(now=NOW)
    vault.verify()
    assert len(names(tmp_path, "lost/")) == 1
    vault.collect(now=NOW)
    parent = vault.manifest("1").disks[0].map
    back_up(vault, "2", DISK, [], parent)
    assert restore(reopen(tmp_path), parent) == DISK


def test_a_crash_anywhere_while_damage_is_remembered(tmp_path: Path) -> None:
    """The next verification and the next backup end what was begun."""
    disk, base = DISK[: 20 * CHUNK], tmp_path.with_name("base")
    vault = new_vault(base)
    parent = back_up(vault, "1", disk)
    for content in (disk[:CHUNK], disk[-CHUNK:]):
        flip(base, *_in(chunk(vault, content)))
    steps = 0
    while True:
        work = tmp_path.with_name(f"work{steps}")
        shutil.copytree(base, work)
        try:
            dying = reopen(work, DyingStorage(work, steps), DEAD)
            dying.verify(read_percent=100)
            back_up(dying, "2", disk, [], parent)
        except Died:
            steps += 1
            vault = reopen(work)
            vault.verify(read_percent=100)
            back_up(vault, "3", disk, [], parent)
            assert vault.verify(read_percent=100).is_whole
            vault.collect(now=NOW)
            assert names(work, "lost/") == []
            assert restore(reopen(work), parent) == disk
            shutil.rmtree(work)
            continue
        break
    assert steps >= 6


def ascending(parts: list[tuple[int, int, bool]]) -> list[Span]:
    result, at = [], 0
    for gap, count, zero in parts:
        result.append(Span(at + gap, count, zero))
        at += gap + count
    return result


spans = st.lists(st.tuples(st.integers(0, 5), st.integers(1, 5), st.booleans()), max_size=8).map(ascending)


@given(spans, spans.map(lambda parts: [Span(part.first, part.count, zero=False) for part in parts]))
def test_reread_chunks_fill_the_gaps(parts: list[Span], reread: list[Span]) -> None:
    def chunks(some: list[Span]) -> list[tuple[int, bool]]:
        return [(number, span.zero) for span in some for number in range(span.first, span.first + span.count)]

    result = chunks(list(with_reread(parts, reread)))
    planned = dict(chunks(parts))
    expected = {number: planned.get(number, False) for number in {*planned, *dict(chunks(reread))}}
    assert result == sorted(expected.items())


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_damage_of_packs_is_healed_by_an_increment(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("vault")
    parent = back_up(new_vault(directory), "1", DISK)
    for number, at in data.draw(st.lists(st.tuples(st.integers(0, 99), st.floats(0, 1)), min_size=1)):
        packs = names(directory, "packs/")
        name = packs[number % len(packs)]
        if number == 99:
            (directory / name).unlink()
        else:
            flip(directory, name, int(at * ((directory / name).stat().st_size - 1)))
    found = reopen(directory).verify(read_percent=100)
    if any("only repair needs" in damage.reason for damage in found.damages):
        # What is lost elsewhere might be in a pack whose directory is damaged; only repair searches it.
        reopen(directory).repair(now=NOW)
    back_up(reopen(directory), "2", DISK, [], parent)
    assert reopen(directory).verify(read_percent=100).is_whole
    assert restore(reopen(directory), parent) == DISK


def test_entries_of_a_pack_are_what_a_scan_finds(tmp_path: Path, vault: VaultStore) -> None:
    for stored in LocalStorage(tmp_path).list("packs/"):
        entries = [
            Entry(blob.id, found.offset, found.length, number)
            for found in scan(vault._blobs, stored.name)
            for number, blob in enumerate(found.blobs)
        ]
        assert entries == read_directory(vault._blobs, stored)
