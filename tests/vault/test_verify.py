"""Verification: damage of every kind is found, named, and placed on disks; what is whole stays whole."""

import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from overwinter.model.errors import JobCancelled, NotFound, VaultError
from overwinter.model.extent import Extent
from overwinter.vault import VaultStore, control, verify
from overwinter.vault.blobs import BlobStore
from overwinter.vault.content import PackRead, Wanted
from overwinter.vault.pack import pack_name
from overwinter.vault.report import Damage, VerifyReport
from overwinter.vault.seal import BlobKind, ObjectKind
from overwinter.vault.storage import CachedStorage, LocalStorage, ReadCache
from overwinter.vault.verify import chosen_part
from tests.vault.damages import SEGMENT, cut, flip, names, remove
from tests.vault.disks import CHUNK, NOW, back_up, manifest, new_vault, noise, read_from, reopen, restore

DISK = noise(1, 40 * CHUNK + 100)

pytestmark = pytest.mark.usefixtures("small_segments")


@pytest.fixture
def vault(tmp_path: Path) -> VaultStore:
    vault = new_vault(tmp_path)
    back_up(vault, "1", DISK)
    return vault


def touched(report: VerifyReport) -> set[tuple[str, str, int, int]]:
    """Point, disk, offset and length of all that is damaged."""
    return {
        (disk.point_id, disk.target, extent.offset, extent.length)
        for damage in report.damages
        for disk in damage.disks
        for extent in disk.ranges
    }


def unreadable(vault: VaultStore, point: str, size: int) -> list[Extent]:
    """What a reader cannot read of a point's first disk, by trying every chunk."""
    disk = vault.manifest(point).disks[0].map
    bad: list[Extent] = []
    for offset in range(0, size, CHUNK):
        length = min(CHUNK, size - offset)
        try:
            vault.read_range(disk, offset, length)
        except VaultError:
            if bad and bad[-1].end == offset:
                length += bad[-1].length
                offset = bad.pop().offset
            bad.append(Extent(offset, length))
    return bad


def only(report: VerifyReport) -> Damage:
    (damage,) = report.damages
    return damage


def test_a_whole_vault(tmp_path: Path, vault: VaultStore) -> None:
    back_up(vault, "2", DISK[:CHUNK] + noise(2, len(DISK) - CHUNK))
    seen: list[int] = []
    report = vault.verify(read_percent=100, progress=seen.append)
    assert report.damages == () and report.is_whole
    assert report.objects == len(names(tmp_path))
    assert (report.points, report.packs) == (2, len(names(tmp_path, "packs/")))
    assert seen == sorted(seen) and seen[-1] == report.bytes_read > 75 * CHUNK
    assert vault.verify().bytes_read == 0
    assert not names(tmp_path, "damaged/") + names(tmp_path, "lost/")


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_flipped_bytes_are_found_and_placed(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """What verification says is damaged is exactly what a reader cannot read."""
    directory = tmp_path_factory.mktemp("vault")
    back_up(new_vault(directory), "1", DISK)
    packs = names(directory, "packs/")
    flips = set()
    for number, place in data.draw(
        st.lists(st.tuples(st.integers(0, 99), st.floats(0, 1)), min_size=1, max_size=3)
    ):
        name = packs[number % len(packs)]
        flips.add((name, int(place * ((directory / name).stat().st_size - 1))))
    for name, position in flips:
        flip(directory, name, position)
    report = reopen(directory).verify(read_percent=100)
    assert report.damages
    bad = unreadable(reopen(directory), "1", len(DISK))
    found = sorted({(offset, length) for _, _, offset, length in touched(report)})
    joined: list[Extent] = []
    for offset, length in found:
        if joined and joined[-1].end == offset:
            length += joined[-1].length
            offset = joined.pop().offset
        joined.append(Extent(offset, length))
    assert joined == bad
    assert report.is_whole == (not bad)


def test_every_object_is_looked_at(tmp_path: Path, vault: VaultStore) -> None:
    """A flipped byte at the begin, in the middle and at the end of any object is noticed."""
    vault.lock_point("1", NOW)
    back_up(vault, "2", noise(3, CHUNK))
    vault.delete_point("2", now=NOW, until=NOW.replace(year=2030))
    vault.collect(now=NOW)
    for name in names(tmp_path):
        content = (tmp_path / name).read_bytes()
        for position in (0, 4, 20, len(content) // 2, len(content) - 3):
            flip(tmp_path, name, position)
            report = vault.verify(read_percent=0)
            if not name.startswith("packs/") or position != len(content) // 2:
                assert name in {damage.object for damage in report.damages}, (name, position)
            if not name.startswith("packs/"):
                assert not report.is_whole
            (tmp_path / name).write_bytes(content)
            remove(tmp_path, ["damaged/", "lost/"])
            vault._blobs.reload()
    assert vault.verify(read_percent=100).damages == ()


def test_the_report_names_vm_point_disk_and_range(tmp_path: Path, vault: VaultStore) -> None:
    disk = bytearray(DISK)
    disk[20 * CHUNK : 21 * CHUNK] = noise(9, CHUNK)
    back_up(vault, "2", disk)
    place = vault._blobs.index.find(first_chunk(vault))
    assert place is not None
    first = pack_name(place.pack)
    flip(tmp_path, first, place.offset + 20)
    damage = only(vault.verify(read_percent=100))
    assert damage.object == first and "1 of its segments cannot be read" in damage.reason
    assert [(one.vm_name, one.point_id, one.target) for one in damage.disks] == [
        ("mail", "1", "vda"),
        ("mail", "2", "vda"),
    ]
    assert all(one.ranges == (Extent(0, SEGMENT),) and one.length == SEGMENT for one in damage.disks)
    assert not damage.harmless


def first_chunk(vault: VaultStore) -> bytes:
    return vault._blobs.keys.identity(BlobKind.CHUNK, DISK[:CHUNK])


def test_many_ranges_are_listed_in_part(
    tmp_path: Path, vault: VaultStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("overwinter.vault.findings.MOST_RANGES", 2)
    monkeypatch.setattr("overwinter.vault.findings.MOST_DISKS", 1)
    scattered = b"".join(DISK[:CHUNK] + bytes(CHUNK) for _ in range(5))
    back_up(vault, "2", scattered)
    back_up(vault, "3", scattered)
    vault.delete_point("1", now=NOW)
    first = vault._blobs.index.find(first_chunk(vault))
    assert first is not None
    flip(tmp_path, pack_name(first.pack), first.offset + 20)
    damage = only(vault.verify(read_percent=100))
    (disk,) = damage.disks
    assert disk.ranges == (Extent(0, CHUNK), Extent(2 * CHUNK, CHUNK))
    assert (disk.more_ranges, disk.length, damage.more_disks) == (3, 5 * CHUNK, 1)


def test_damage_of_what_nobody_needs_is_harmless(tmp_path: Path, vault: VaultStore) -> None:
    with vault.session("2") as session:
        session.store_disk("vda", CHUNK, [Extent(0, CHUNK)], read_from(noise(7, CHUNK)))
        before = names(tmp_path, "packs/")
        session.flush()
    (new,) = set(names(tmp_path, "packs/")) - set(before)
    flip(tmp_path, new, 20, 60)
    (tmp_path / "packs" / "readme").write_text("not ours")
    report = vault.verify(read_percent=100)
    assert {damage.object for damage in report.damages} == {new, "packs/readme"}
    assert report.is_whole


@pytest.mark.parametrize("length", [0, 39, 41, 5000, 30_000])
def test_a_cut_pack_is_placed_without_being_asked_to_read(
    tmp_path: Path, vault: VaultStore, length: int
) -> None:
    name = names(tmp_path, "packs/")[0]
    cut(tmp_path, name, length)
    report = vault.verify()
    assert {damage.object for damage in report.damages} >= {name}
    expected = unreadable(reopen(tmp_path), "1", len(DISK))
    assert sum(e.length for e in expected) == sum(length for _, _, _, length in touched(report))


def test_removed_objects(tmp_path: Path, vault: VaultStore) -> None:
    first = vault._blobs.index.find(first_chunk(vault))
    assert first is not None
    pack = pack_name(first.pack)  # one without pages: those come last
    (tmp_path / pack).unlink()
    report = vault.verify()
    assert [damage.object for damage in report.damages] == [pack]
    assert report.damages[0].reason == "it is gone" and not report.is_whole
    remove(tmp_path, ["lost/", "index/"])
    report = reopen(tmp_path).verify()
    assert "repair" in only(report).reason and only(report).disks[0].length == len(DISK)
    assert names(tmp_path, "lost/") == []  # packs may have what the index lacks: nothing is given up
    remove(tmp_path, ["manifests/"])
    assert reopen(tmp_path).verify().points == 0


def test_one_point(tmp_path: Path, vault: VaultStore) -> None:
    before = set(names(tmp_path, "packs/"))
    back_up(vault, "2", noise(8, 3 * CHUNK))
    (pack,) = set(names(tmp_path, "packs/")) - before
    flip(tmp_path, pack, 100)
    report = vault.verify(read_percent=100, point_id="1")
    assert (report.damages, report.points, report.packs) == ((), 1, len(before))
    assert touched(vault.verify(read_percent=100, point_id="2")) == {("2", "vda", 0, 3 * CHUNK)}
    with pytest.raises(NotFound):
        vault.verify(point_id="3")


def test_turns_reach_everything(tmp_path: Path, vault: VaultStore) -> None:
    whole = vault.verify(read_percent=100)
    parts = [vault.verify(read_percent=10, turn=turn) for turn in range(7, 17)]
    assert sum(part.bytes_read for part in parts) == whole.bytes_read
    assert all(part.bytes_read < whole.bytes_read / 2 for part in parts)


@given(
    percent=st.floats(1, 100), places=st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**25)))
)
def test_a_part_is_chosen_in_some_turn(percent: float, places: list[tuple[int, int]]) -> None:
    turns = -(-100 // percent)
    chosen = [chosen_part(percent, turn * percent / 100 % 1) for turn in range(int(turns))]
    assert all(any(one(*place) for one in chosen) for place in places)


def test_another_copy_makes_damage_harmless(tmp_path: Path, vault: VaultStore) -> None:
    """Also of pages: readers and verification go on with the other copy."""
    two = reopen(tmp_path)
    with vault.session("2") as first, two.session("3") as second:  # neither sees what the other stores
        both = [
            one.store_disk("vda", SEGMENT, [Extent(0, SEGMENT)], read_from(DISK[-SEGMENT:]))
            for one in (first, second)
        ]
        before = set(names(tmp_path, "packs/"))
        first.commit(manifest("2", both[0]))
        (mine,) = set(names(tmp_path, "packs/")) - before
        second.commit(manifest("3", both[1]))
    size = (tmp_path / mine).stat().st_size
    flip(tmp_path, mine, *range(45, size - 300, 50))
    report = reopen(tmp_path).verify(read_percent=100)
    assert only(report).object == mine and report.is_whole
    assert restore(reopen(tmp_path), both[0]) == DISK[-SEGMENT:]


def test_beside_a_collection(tmp_path: Path, vault: VaultStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Packs are replaced, and a point goes, while verification reads: that is no damage."""
    kept = back_up(vault, "2", DISK[: 10 * CHUNK])
    reader = reopen(tmp_path)
    original = verify.read_pack
    collected = []

    def meanwhile(blobs: object, pack: bytes, segments: list[Wanted], cancelled: object) -> PackRead:
        if not collected:
            collected.append(True)
            vault.delete_point("1", now=NOW)
            assert vault.collect(now=NOW).packs_removed
        return original(blobs, pack, segments, cancelled)  # type: ignore[arg-type]

    monkeypatch.setattr(verify, "worker_count", lambda: 1)
    monkeypatch.setattr(verify, "read_pack", meanwhile)
    assert reader.verify(read_percent=100).damages == ()
    assert names(tmp_path, "damaged/") + names(tmp_path, "lost/") == []
    assert restore(reader, kept) == DISK[: 10 * CHUNK]


def test_a_point_that_went_meanwhile_is_not_lost_where_a_tombstone_lies(
    tmp_path: Path, vault: VaultStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The collection that ends a dead writer of the same point keeps it from committing."""
    reader = reopen(tmp_path)
    (name,) = names(tmp_path, "manifests/")
    original = verify.read_pack
    gone: list[bool] = []

    def meanwhile(blobs: BlobStore, pack: bytes, segments: list[Wanted], cancelled: None) -> PackRead:
        if not gone:
            gone.append(True)
            vault.delete_point("1", now=NOW)
            control.put(blobs, ObjectKind.TOMBSTONE, name, {})
            assert vault.collect(now=NOW).packs_removed
        return original(blobs, pack, segments, cancelled)

    monkeypatch.setattr(verify, "worker_count", lambda: 1)
    monkeypatch.setattr(verify, "read_pack", meanwhile)
    assert reader.verify(read_percent=100).damages == ()
    assert names(tmp_path, "lost/") == []


def test_it_can_be_cancelled(vault: VaultStore) -> None:
    def cancelled() -> None:
        raise JobCancelled("stop")

    with pytest.raises(JobCancelled):
        vault.verify(read_percent=100, cancelled=cancelled)


def test_random_damage_never_raises(tmp_path: Path, vault: VaultStore) -> None:
    """Whatever is done to the objects of an open vault, verification ends with a report."""
    for seed in range(20):
        chance = random.Random(seed)
        kept = {name: (tmp_path / name).read_bytes() for name in names(tmp_path)}
        for name in chance.sample(sorted(kept), 3):
            content = kept[name]
            change = chance.randrange(4)
            if change == 0:
                (tmp_path / name).unlink()
            elif change == 1:
                cut(tmp_path, name, chance.randrange(len(content)))
            elif change == 2:
                flip(tmp_path, name, chance.randrange(len(content)))
            else:
                (tmp_path / name).write_bytes(noise(seed, len(content)))
        vault.verify(read_percent=100)
        remove(tmp_path, [""])
        for name, content in kept.items():
            (tmp_path / name).write_bytes(content)
        vault._blobs.reload()
    assert vault.verify(read_percent=100).damages == ()


def test_a_cache_hides_no_damage(tmp_path: Path) -> None:
    """The small pieces were read before, so a reader through the cache would not notice."""
    directory, cache = tmp_path / "vault", ReadCache(tmp_path / "cache", 1 << 26)
    back_up(new_vault(directory), "1", DISK)
    vault = reopen(directory, CachedStorage(LocalStorage(directory), cache, "one"))
    disk = vault.manifest("1").disks[0].map
    assert restore(vault, disk) == DISK
    for name in names(directory, "packs/"):
        flip(directory, name, 10)  # its header
    assert restore(reopen(directory, CachedStorage(LocalStorage(directory), cache, "one")), disk) == DISK
    assert touched(vault.verify(read_percent=100))
    assert vault.damaged_extents(disk)
