"""What the vault asks of a storage, of every kind there is: the directory, S3, Azure Blob."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from overwinter.model.errors import AlreadyExists, VaultDataCorrupt, VaultObjectMissing
from overwinter.vault.storage import LocalStorage, ObjectStorage, Storage, StoredObject
from tests.vault.disks import noise
from tests.vault.stores import azure_location, s3_location

MIB = 1024 * 1024
HEX = "0123456789abcdef"

pytestmark = pytest.mark.object_stores


@pytest.fixture(params=["directory", "s3", "azure"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    return make(request, tmp_path)[0]


@pytest.fixture(params=["directory", "s3", "azure"])
def two(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Storage, Storage]:
    """The same storage, opened by two writers."""
    return make(request, tmp_path)


def make(request: pytest.FixtureRequest, directory: Path) -> tuple[Storage, Storage]:
    if request.param == "directory":
        return LocalStorage(directory / "vault"), LocalStorage(directory / "vault")
    if request.param == "s3":
        s3 = s3_location(request.getfixturevalue("s3"), directory)
        return ObjectStorage(s3), ObjectStorage(s3)
    azure = azure_location(request.getfixturevalue("azure"), directory)
    return ObjectStorage(azure), ObjectStorage(azure)


def test_objects_are_written_once_and_read_back(storage: Storage) -> None:
    storage.put("packs/ab/1", [b"first ", memoryview(b"second"), bytearray(b"!")])
    assert storage.get("packs/ab/1") == b"first second!"
    with pytest.raises(AlreadyExists, match="packs/ab/1"):
        storage.put("packs/ab/1", [b"other"])
    assert storage.get("packs/ab/1") == b"first second!"
    storage.put("packs/ab/0", [])
    assert storage.get("packs/ab/0") == b""


def test_a_whole_pack_and_its_ranges(storage: Storage) -> None:
    pack = noise(1, 32 * MIB + 12345)
    storage.put("packs/00/pack", [memoryview(pack)[:MIB], pack[MIB:]])
    assert storage.get("packs/00/pack") == pack
    for offset, length in ((0, 40), (MIB - 1, 2), (7 * MIB, 4 * MIB), (len(pack) - 4, 4), (0, len(pack))):
        assert storage.get_range("packs/00/pack", offset, length) == pack[offset : offset + length]


def test_what_is_missing_or_short_is_said(storage: Storage) -> None:
    storage.put("index/a", [b"12345"])
    for read in (
        lambda: storage.get("index/b"),
        lambda: storage.get_range("index/b", 0, 1),
        lambda: storage.get("index/a/under"),
    ):
        with pytest.raises(VaultObjectMissing, match="index/"):
            read()
    for offset in (3, 5, 500):
        with pytest.raises(VaultDataCorrupt, match=r"index/a .*truncated"):
            storage.get_range("index/a", offset, 3)


def test_buffers_are_free_again_when_a_put_returns(storage: Storage) -> None:
    buffer = bytearray(noise(2, MIB))
    with memoryview(buffer) as view:
        storage.put("packs/00/one", [view])
    buffer += b"longer"  # an export that is still alive would forbid this
    buffer[:MIB] = bytes(MIB)
    assert storage.get("packs/00/one") == noise(2, MIB)


def test_listing_and_deleting_with_all_names_a_vault_has(storage: Storage) -> None:
    names = [
        f"collections/{HEX}",
        f"collections/{HEX}.doomed",
        f"collections/{HEX}.end",
        "config",
        f"keys/{HEX}",
        f"locks/{HEX}{HEX}-{HEX}",
        f"manifests/{HEX}{HEX}",
        f"packs/00/{HEX}",
        f"packs/ff/{HEX}",
        f"packs-not/00/{HEX}",
    ]
    for size, name in enumerate(reversed(names)):
        storage.put(name, [bytes(size)])
    everything = [StoredObject(name, len(names) - 1 - number) for number, name in enumerate(names)]
    assert storage.list("") == sorted(everything, key=lambda stored: stored.name)
    assert [stored.name for stored in storage.list("packs/")] == [f"packs/00/{HEX}", f"packs/ff/{HEX}"]
    assert storage.list("index/") == []
    storage.delete([names[0], "index/not-there", names[3], "config/not-there"])
    storage.delete([])
    assert [stored.name for stored in storage.list("")] == sorted({*names} - {names[0], names[3]})
    storage.put(names[0], [b"again"])
    assert storage.get(names[0]) == b"again"


@pytest.mark.parametrize(("storage", "count"), [("s3", 1100), ("azure", 300)], indirect=["storage"])
def test_more_objects_than_one_request_takes(storage: Storage, count: int) -> None:
    """S3 lists 1,000 objects at a time; we remove 256."""
    names = [f"packs/{number % 16:02x}/{number:016x}" for number in range(count)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: storage.put(name, [name.encode()]), names))
    assert storage.list("packs/") == [StoredObject(name, 25) for name in sorted(names)]
    storage.delete([*names[:-1], "packs/not-there"])
    assert storage.list("") == [StoredObject(names[-1], 25)]


def test_one_of_many_writers_wins(two: tuple[Storage, Storage]) -> None:
    """Eight threads of two clients at once, again and again; the winner's content is what is there."""
    for turn in range(8):
        name = f"collections/{turn:x}"
        start = threading.Barrier(8)

        def write(writer: int, name: str = name, start: threading.Barrier = start) -> bool:
            content = noise(writer, 5000)
            start.wait()
            try:
                two[writer % 2].put(name, [content])
            except AlreadyExists:
                return False
            return True

        with ThreadPoolExecutor(8) as pool:
            won = [writer for writer, wins in enumerate(pool.map(write, range(8))) if wins]
        assert len(won) == 1
        assert two[0].get(name) == two[1].get(name) == noise(won[0], 5000)


def test_nothing_unfinished_is_listed(storage: Storage) -> None:
    storage.put("config", [b"1"])
    storage.discard_unfinished()
    assert [stored.name for stored in storage.list("")] == ["config"]
