"""Repair: what is whole is saved, what is lost is told, nothing is removed unasked."""

import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from overwinter.model.errors import (
    VaultCollectionInProgress,
    VaultDataCorrupt,
    VaultError,
    VaultFormatUnsupported,
    VaultKeyWrong,
)
from overwinter.model.extent import Extent
from overwinter.model.protection import KeyKind
from overwinter.vault import KeySource, RepairReport, VaultStore, add_wrap, generations, points, repair
from overwinter.vault.announcements import Timing
from overwinter.vault.chunking import DEFAULT_CHUNK_SIZE
from overwinter.vault.keys import first_wrap, wrap_name
from overwinter.vault.keys.random_key import RandomKey
from overwinter.vault.pack import pack_name
from overwinter.vault.presence import Presence
from overwinter.vault.repair import repair_on
from overwinter.vault.storage import LocalStorage
from tests.vault.damages import SEGMENT, cut, flip, names, remove
from tests.vault.disks import (
    CHUNK,
    DEAD,
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
from tests.vault.faults import Died, DyingStorage

FIRST = noise(1, 30 * CHUNK + 100)
SECOND = FIRST[: 10 * CHUNK] + noise(2, 10 * CHUNK)
DISKS = {"1": FIRST, "2": SECOND}

pytestmark = pytest.mark.usefixtures("small_segments")


@pytest.fixture
def vault(tmp_path: Path) -> VaultStore:
    return fill(tmp_path)


def fill(directory: Path) -> VaultStore:
    vault = new_vault(directory)
    for point, disk in DISKS.items():
        back_up(vault, point, disk)
    return vault


def mend(directory: Path, *, remove_lost: bool = False) -> RepairReport:
    return repair(f"file://{directory}", key(), now=NOW, remove_lost=remove_lost)


def all_is_well(directory: Path) -> None:
    vault = reopen(directory)
    assert {found.point_id: restore(vault, found.disks[0].map) for found in vault.manifests()} == DISKS
    assert vault.verify(read_percent=100).is_whole
    vault.collect(now=NOW)
    assert vault.verify(read_percent=100).damages == ()
    back_up(vault, "3", FIRST)
    assert len(reopen(directory).manifests()) == 3


def test_a_whole_vault_stays_as_it_is(tmp_path: Path, vault: VaultStore) -> None:
    before = set(names(tmp_path, "packs/"))
    report = vault.repair(now=NOW)
    assert (report.searched, report.replaced, report.left, report.lost_points) == ((), (), (), ())
    assert report.packs == len(before) and report.verified.damages == ()
    assert set(names(tmp_path, "packs/")) == before
    assert restore(vault, vault.manifest("1").disks[0].map) == FIRST
    all_is_well(tmp_path)


@pytest.mark.parametrize("how", ["all removed", "one garbled", "one cut", "one emptied"])
def test_the_index(tmp_path: Path, vault: VaultStore, how: str) -> None:
    indexes = names(tmp_path, "index/")
    if how == "all removed":
        remove(tmp_path, ["index/"])
    elif how == "one garbled":
        flip(tmp_path, indexes[0], 100)
    else:
        cut(tmp_path, indexes[0], 0 if how == "one emptied" else 60)
    report = mend(tmp_path)
    assert report.verified.damages == ()
    assert len(names(tmp_path, "index/")) == 1
    all_is_well(tmp_path)


@pytest.mark.parametrize("how", ["flipped", "cut", "emptied", "removed"])
@pytest.mark.parametrize("manifests", [True, False])
def test_the_config(tmp_path: Path, vault: VaultStore, how: str, manifests: bool) -> None:
    if how == "flipped":
        flip(tmp_path, "config", 50)
    elif how == "removed":
        (tmp_path / "config").unlink()
    else:
        cut(tmp_path, "config", 0 if how == "emptied" else 45)
    with pytest.raises(VaultDataCorrupt):  # not: there is no vault
        reopen(tmp_path)
    if not manifests:
        remove(tmp_path, ["manifests/"])
    assert mend(tmp_path).replaced == ("config",)
    # Without a manifest nothing needs the chunks, and any size will do.
    assert reopen(tmp_path).chunk_size == (CHUNK if manifests else DEFAULT_CHUNK_SIZE)
    if manifests:
        all_is_well(tmp_path)


def test_a_config_that_nothing_tells(tmp_path: Path) -> None:
    new_vault(tmp_path)
    cut(tmp_path, "config", 45)
    with pytest.raises(VaultDataCorrupt, match="new vault"):
        mend(tmp_path)


def test_no_key_no_vault_another_version(tmp_path: Path, vault: VaultStore) -> None:
    before = {name: (tmp_path / name).read_bytes() for name in names(tmp_path)}
    with pytest.raises(VaultKeyWrong):
        repair(f"file://{tmp_path}", KeySource(RandomKey(KeyKind.KEY_FILE, bytes(32))), now=NOW)
    for name in ("config", names(tmp_path, "packs/")[0], names(tmp_path, "manifests/")[0]):
        flip(tmp_path, name, 4)
        with pytest.raises(VaultFormatUnsupported):
            mend(tmp_path)
        flip(tmp_path, name, 4)
    assert before == {name: (tmp_path / name).read_bytes() for name in names(tmp_path)}
    remove(tmp_path, ["keys/"])
    with pytest.raises(VaultError, match="keys are gone"):
        mend(tmp_path)


@pytest.mark.parametrize("what_tells", ["config", "manifests/", "packs/", "nothing"])
def test_keys_of_creations_that_died_are_not_believed(
    tmp_path: Path, vault: VaultStore, what_tells: str
) -> None:
    """Wraps of other data keys, with names before and after the right one, open with the same secret."""
    for first in (0, 255):
        wrap = first_wrap(key(), noise(first, 32), VAULT_ID, "", None, lambda n, b=first: bytes([b]) * n)
        LocalStorage(tmp_path).put(wrap_name(wrap.wrap.id), [wrap.content])
    order = ["config", "manifests/", "packs/", "nothing"]
    gone = order[: order.index(what_tells)]
    if "config" in gone:
        (tmp_path / "config").unlink()
    remove(tmp_path, gone[1:])
    if what_tells == "nothing":
        with pytest.raises(VaultDataCorrupt, match="holds no data"):
            mend(tmp_path)
        return
    report = mend(tmp_path)
    assert report.replaced == (() if what_tells == "config" else ("config",))
    assert report.blobs > 0
    assert reopen(tmp_path).chunk_size == (DEFAULT_CHUNK_SIZE if what_tells == "packs/" else CHUNK)


def test_a_damaged_wrap_is_told_and_a_begun_removal_belongs(tmp_path: Path, vault: VaultStore) -> None:
    other = KeySource(RandomKey(KeyKind.KEY_FILE, bytes(32)))
    added = add_wrap(LocalStorage(tmp_path), key(), other, label="", created=NOW)
    name = wrap_name(added.id)
    LocalStorage(tmp_path).put(f"{name}.00000000.removal", [b"\n"])
    assert vault.verify().damages == ()
    flip(tmp_path, name, 50)
    assert [damage.object for damage in vault.verify().damages] == [name]
    assert [text.split(":")[0] for text in mend(tmp_path).left] == [name]
    LocalStorage(tmp_path).put("keys/stranger", [b"?"])
    found = {damage.object: damage.reason for damage in vault.verify().damages}
    assert found["keys/stranger"] == "does not belong to the vault"


@pytest.mark.parametrize("end", [3, 100, 200])
def test_a_damaged_directory_loses_nothing(tmp_path: Path, vault: VaultStore, end: int) -> None:
    packs = names(tmp_path, "packs/")
    for name in packs:
        flip(tmp_path, name, (tmp_path / name).stat().st_size - end)
    remove(tmp_path, ["index/"])
    report = mend(tmp_path)
    assert report.searched == tuple(packs)
    assert report.verified.is_whole and report.lost_points == ()
    all_is_well(tmp_path)


def test_whole_segments_of_a_pack_in_pieces_are_kept(tmp_path: Path, vault: VaultStore) -> None:
    """A frame in the middle is damaged, and the end is cut off: what lies between is found."""
    pack = max(names(tmp_path, "packs/"), key=lambda name: (tmp_path / name).stat().st_size)
    segment = 12 + 4 * 4 + SEGMENT + 16  # frame, lengths of the chunks, chunks, tag
    flip(tmp_path, pack, 40 + segment + 1)
    cut(tmp_path, pack, 40 + 3 * segment + 20)
    report = mend(tmp_path)
    lost = sum(
        disk.length for damage in report.verified.damages for disk in damage.disks if disk.point_id == "1"
    )
    assert report.searched == (pack,)
    assert lost == 2 * SEGMENT  # one with the frame, one cut off
    healed = back_up(reopen(tmp_path), "3", FIRST, [], reopen(tmp_path).manifest("1").disks[0].map)
    assert restore(reopen(tmp_path), healed) == FIRST


def test_what_is_known_to_be_damaged_leaves_the_index(tmp_path: Path, vault: VaultStore) -> None:
    packs = names(tmp_path, "packs/")
    flip(tmp_path, packs[0], 60)
    before = vault.verify(read_percent=100)
    report = vault.repair(now=NOW)
    assert [damage.disks for damage in report.verified.damages] == [damage.disks for damage in before.damages]
    vault.collect(now=NOW)  # all packs were searched: it goes on without
    back_up(vault, "3", FIRST)
    back_up(vault, "4", SECOND)
    assert vault.verify(read_percent=100).is_whole


def test_lost_points_are_told_and_removed_only_when_asked(tmp_path: Path, vault: VaultStore) -> None:
    back_up(vault, "3", noise(3, CHUNK))
    back_up(vault, "4", noise(4, CHUNK))
    vault.lock_point("4", NOW + timedelta(days=1))
    objects = {point: points_object(vault, point) for point in "34"}
    for name in objects.values():
        flip(tmp_path, name, 100)
    for asked in (False, True):
        report = mend(tmp_path, remove_lost=asked)
        told = {point.object: point.removed for point in report.lost_points}
        assert told == {objects["3"]: asked, objects["4"]: False}
        assert set(objects.values()) <= set(names(tmp_path, "manifests/"))
        assert {damage.object for damage in report.verified.damages} == set(objects.values())
    flip(tmp_path, objects["4"], 100)
    vault = reopen(tmp_path)
    assert [found.point_id for found in vault.manifests()] == ["1", "2", "4"]
    back_up(vault, "3", noise(3, CHUNK))  # the name of the removed one stays taken, the next is used
    assert restore(vault, vault.manifest("3").disks[0].map) == noise(3, CHUNK)


def points_object(vault: VaultStore, point: str) -> str:
    return points.find(vault._blobs, point)[0]


def test_a_point_without_its_map(tmp_path: Path, vault: VaultStore) -> None:
    root = vault._blobs.index.find(vault.manifest("2").disks[0].map.root)
    assert root is not None
    flip(tmp_path, pack_name(root.pack), root.offset + 20)
    vault.verify()
    (lost,) = mend(tmp_path).lost_points
    assert (lost.point_id, lost.vm_name, lost.removed) == ("2", "mail", False)
    with pytest.raises(VaultError):
        reopen(tmp_path).collect(now=NOW)  # what the map names would be taken for garbage
    (lost,) = mend(tmp_path, remove_lost=True).lost_points
    assert lost.removed
    vault = reopen(tmp_path)
    vault.collect(now=NOW)
    assert [found.point_id for found in vault.manifests()] == ["1"]
    assert restore(vault, vault.manifest("1").disks[0].map) == FIRST


def test_unreadable_marks(tmp_path: Path, vault: VaultStore) -> None:
    flip(tmp_path, names(tmp_path, "packs/")[0], 60)
    vault.verify(read_percent=100)
    flip(tmp_path, names(tmp_path, "packs/")[0], 60)
    vault.delete_point("1", now=NOW, until=NOW + timedelta(days=1))
    vault.lock_point("2", NOW)
    marks = [names(tmp_path, prefix)[0] for prefix in ("damaged/", "lost/", "deleted/", "locks/")]
    for name in marks:
        flip(tmp_path, name, 50)
    with pytest.raises(VaultDataCorrupt):
        reopen(tmp_path)
    report = mend(tmp_path)
    assert report.replaced == tuple(marks[:3])
    assert [text.split(":")[0] for text in report.left] == marks[3:]
    vault = reopen(tmp_path)
    assert [found.point_id for found in vault.manifests()] == ["1", "2"]
    with pytest.raises(VaultDataCorrupt):
        vault.delete_point("2", now=NOW)  # locked until nobody knows when


@pytest.mark.parametrize("suffix", ["", ".doomed", ".waits", ".end"])
def test_unreadable_objects_of_a_collection(tmp_path: Path, vault: VaultStore, suffix: str) -> None:
    elsewhere = reopen(tmp_path, presence=Presence("another machine", 7, 7))
    short = Timing(patience=0.05, poll=0.01)
    vault.collect(now=NOW)
    with vault.session("3"):
        flip(tmp_path, f"collections/00000001{suffix}", 50)
        with pytest.raises(VaultDataCorrupt), elsewhere.session("4"):
            pass
        with pytest.raises(VaultCollectionInProgress, match="others"):
            repair_on(LocalStorage(tmp_path), "", key(), now=NOW, timing=short)
    repair_on(LocalStorage(tmp_path), "", key(), now=NOW, timing=short)
    all_is_well(tmp_path)


def test_an_unreadable_session_of_a_collection_that_died(tmp_path: Path, vault: VaultStore) -> None:
    """Whether its process lives cannot be told. It is ended; should it live, it removes nothing."""
    generations.begin(vault._blobs, 1, "5e55105e55105e55")
    LocalStorage(tmp_path).put("sessions/5e55105e55105e55", [b"noise"])
    report = mend(tmp_path)
    assert [left.partition(":")[0] for left in report.left] == ["sessions/5e55105e55105e55"]
    LocalStorage(tmp_path).delete(["sessions/5e55105e55105e55"])
    all_is_well(tmp_path)


def test_not_beside_a_collection_but_beside_sessions(
    tmp_path: Path, vault: VaultStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = generations.put_doom

    def meanwhile(*arguments: object) -> None:
        with pytest.raises(VaultCollectionInProgress):
            mend(tmp_path)
        original(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(generations, "put_doom", meanwhile)
    vault.collect(now=NOW)
    with vault.session("3") as session:
        stored = session.store_disk("vda", len(FIRST), [Extent(0, len(FIRST))], read_from(FIRST))
        remove(tmp_path, ["index/"])
        mend(tmp_path)
        session.commit(manifest("3", stored))
    assert restore(reopen(tmp_path), stored) == FIRST


def test_what_a_collection_has_doomed_is_spared(tmp_path: Path, vault: VaultStore) -> None:
    """A collection waits for a session; repair takes its decision back, and the next one decides anew."""
    with vault.session("3") as session:
        stored = session.store_disk("vda", len(FIRST), [Extent(0, len(FIRST))], read_from(FIRST))
        vault.delete_point("1", now=NOW)
        assert vault.collect(now=NOW).waiting_for == 1
        vault.repair(now=NOW)
        session.commit(manifest("3", stored))
    vault.collect(now=NOW)
    assert restore(reopen(tmp_path), stored) == FIRST


def test_a_crash_at_any_step_leaves_the_vault_no_worse(tmp_path: Path) -> None:
    base = tmp_path / "base"
    fill(base)
    packs = names(base, "packs/")
    flip(base, packs[0], (base / packs[0]).stat().st_size - 3)
    flip(base, names(base, "index/")[0], 100)
    flip(base, "config", 50)
    steps = 0
    while True:
        work = tmp_path / str(steps)
        shutil.copytree(base, work)
        try:
            repair_on(DyingStorage(work, steps), "", key(), now=NOW, presence=DEAD)
        except Died:
            assert mend(work).verified.is_whole
            all_is_well(work)
            shutil.rmtree(work)
            steps += 1
            continue
        break
    assert steps >= 10


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_after_any_damage_and_repair_reading_is_right_or_told(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Repair, reading verification: then every point reads right, but for the ranges that are told."""
    directory = tmp_path_factory.mktemp("vault")
    fill(directory)
    kinds = ["packs/", "index/", "manifests/", "config"]
    damage = st.tuples(st.sampled_from(kinds), st.integers(0, 99), st.sampled_from(["flip", "cut", "gone"]))
    for kind, number, how in data.draw(st.lists(damage, min_size=1, max_size=3)):
        found = names(directory, kind) if kind != "config" else [kind] * (directory / kind).exists()
        if not found:
            continue
        name = found[number % len(found)]
        size = (directory / name).stat().st_size
        if how == "gone":
            (directory / name).unlink()
        elif how == "cut":
            cut(directory, name, size * number // 100)
        elif size > 5:
            flip(directory, name, 5 + (size - 6) * number // 99)
    mend(directory, remove_lost=True)
    vault = reopen(directory)
    report = vault.verify(read_percent=100)
    lost = {
        (disk.point_id, extent.offset + at)
        for one in report.damages
        for disk in one.disks
        for extent in disk.ranges
        for at in range(0, extent.length, CHUNK)
    }
    for found_manifest in vault.manifests():
        disk = DISKS[found_manifest.point_id]
        for offset in range(0, len(disk), CHUNK):
            expected = disk[offset : offset + CHUNK]
            if (found_manifest.point_id, offset) not in lost:
                assert vault.read_range(found_manifest.disks[0].map, offset, len(expected)) == expected
    # What no point needed was not looked at: the first backups may find it and rely on it.
    for first, second in (("6", "7"), ("8", "9")):
        reopen(directory).verify(read_percent=100)
        back_up(reopen(directory), first, FIRST)
        back_up(reopen(directory), second, SECOND)
    damages = reopen(directory).verify(read_percent=100).damages
    assert [one for one in damages if not one.harmless and not one.object.startswith("manifests/")] == []
    reopen(directory).collect(now=NOW)
