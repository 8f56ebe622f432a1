"""The read cache: gives what the storage holds, stays within its bound, and never fails a reader."""

import os
import random
import stat
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overwinter.model.errors import VaultObjectMissing
from overwinter.vault.storage import CachedStorage, LocalStorage, ReadCache, StoredObject
from testkit.waiting import wait_until
from tests.vault.disks import back_up, new_vault, noise, reopen, restore

KIB = 1024
MIB = 1024 * 1024
ROOT = Path(__file__).parents[2]


class Counting(LocalStorage):
    """A directory that counts what is read from it."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.reads: Counter[str] = Counter()

    def get(self, name: str) -> bytes:
        self.reads[name] += 1
        return super().get(name)

    def get_range(self, name: str, offset: int, length: int) -> bytes:
        self.reads[name] += 1
        return super().get_range(name, offset, length)


@pytest.fixture
def behind(tmp_path: Path) -> Counting:
    return Counting(tmp_path / "vault")


@pytest.fixture
def storage(behind: Counting, tmp_path: Path) -> CachedStorage:
    return CachedStorage(behind, ReadCache(tmp_path / "cache", 32 * MIB), "here")


def files(cache: Path) -> list[Path]:
    return [path for path in cache.rglob("*") if path.is_file()]


def occupied(cache: Path) -> int:
    """In whole blocks, as the cache counts."""
    return sum(-(-path.stat().st_size // 4096) * 4096 for path in files(cache))


def test_what_is_read_again_and_again_is_read_once(behind: Counting, storage: CachedStorage) -> None:
    content = noise(1, 4 * MIB)
    for name in ("index/1", "packs/00/1"):
        storage.put(name, [content])
    for _ in range(3):
        assert storage.get("index/1") == content
        assert storage.get_range("packs/00/1", 100, 512 * KIB) == content[100 : 100 + 512 * KIB]
        assert storage.get_range("packs/00/1", 0, 1) == content[:1]
        assert storage.get_range("packs/00/1", 0, 2) == content[:2]
    assert behind.reads == {"index/1": 1, "packs/00/1": 3}


def test_keys_and_points_and_marks_and_long_ranges_are_always_asked_for(
    behind: Counting, storage: CachedStorage
) -> None:
    names = ("config", "keys/1", "manifests/1", "sessions/1", "collections/1.end", "locks/1-2", "deleted/1")
    for name in (*names, "packs/00/1"):
        storage.put(name, [noise(1, MIB)])
    for _ in range(2):
        for name in names:
            assert storage.get(name) == noise(1, MIB)
        assert storage.get_range("packs/00/1", 0, 512 * KIB + 1) == noise(1, MIB)[: 512 * KIB + 1]
    assert behind.reads == dict.fromkeys((*names, "packs/00/1"), 2)


def test_listings_are_never_cached_and_own_deletions_are_seen(storage: CachedStorage) -> None:
    for name in ("index/1", "index/2"):
        storage.put(name, [b"table"])
        assert storage.get(name) == b"table"
    storage.delete(["index/1"])
    assert storage.list("") == [StoredObject("index/2", 5)]
    with pytest.raises(VaultObjectMissing):
        storage.get("index/1")
    assert storage.get("index/2") == b"table"


def test_two_vaults_share_a_cache_and_not_their_content(tmp_path: Path) -> None:
    cache = ReadCache(tmp_path / "cache", MIB)
    one, other = (CachedStorage(LocalStorage(tmp_path / name), cache, name) for name in ("one", "other"))
    for storage, content in ((one, b"1"), (other, b"2")):
        storage.put("index/1", [content])
    assert (one.get("index/1"), other.get("index/1"), one.get("index/1")) == (b"1", b"2", b"1")


def test_only_its_owner_reads_it(storage: CachedStorage, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir(mode=0o755)
    storage.put("index/1", [b"content"])
    storage.get("index/1")
    assert stat.S_IMODE((tmp_path / "cache").stat().st_mode) == 0o700
    assert [stat.S_IMODE(path.stat().st_mode) for path in files(tmp_path / "cache")] == [0o600]


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[random.Random(1).randrange(len(content))] ^= 1
    path.write_bytes(content)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "a flipped bit": flip,
    "cut": lambda path: os.truncate(path, path.stat().st_size - 1),
    "cut to its checksum": lambda path: os.truncate(path, 32),
    "empty": lambda path: os.truncate(path, 0),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"1"),
    "another entry's file": lambda path: path.write_bytes(
        next(other for other in files(path.parents[1]) if other != path).read_bytes()
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_found_and_fetched_again(
    behind: Counting, storage: CachedStorage, tmp_path: Path, damage: str
) -> None:
    names = ("index/1", "index/2")
    for number, name in enumerate(names):
        storage.put(name, [noise(number, 10 * KIB)])
        storage.get(name)
    for path in files(tmp_path / "cache"):
        kept = path.read_bytes()
        DAMAGE[damage](path)
        for number, name in enumerate(names):
            assert storage.get(name) == noise(number, 10 * KIB)
        assert path.read_bytes() == kept
    assert behind.reads == {"index/1": 2, "index/2": 2}


@given(st.lists(st.integers(0, 40 * KIB), max_size=60), st.integers(64 * KIB, 512 * KIB))
def test_the_bound_holds_after_every_step(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], limit: int
) -> None:
    directory = tmp_path_factory.mktemp("cache")
    cache = ReadCache(directory, limit)
    for number, size in enumerate(sizes):
        cache.put(f"{number}", noise(number, size))
        assert cache.get(f"{number}") in (None, noise(number, size))
        assert occupied(directory) <= limit
    cache = ReadCache(directory, limit // 2)  # a new process with a smaller bound
    cache.put("last", b"1")
    assert cache.get("last") == b"1"
    assert occupied(directory) <= limit // 2


def test_the_bound_holds_for_threads_at_once(tmp_path: Path) -> None:
    cache = ReadCache(tmp_path, MIB)
    for turn in range(10):
        start = threading.Barrier(8)

        def write(number: int, start: threading.Barrier = start) -> None:
            start.wait()
            cache.put(str(number), noise(number, 250_000))

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(write, range(8 * turn, 8 * turn + 8)))
        assert 0 < occupied(tmp_path) <= MIB


class SlowCache(ReadCache):
    """Everybody who writes waits for the others to have begun."""

    def __init__(self, directory: Path, limit: int) -> None:
        super().__init__(directory, limit)
        self.writing: list[Path] = []
        self.go_on = threading.Event()

    def _write(self, path: Path, *parts: bytes) -> None:
        self.writing.append(path)
        assert self.go_on.wait(60)
        super()._write(path, *parts)


def test_more_threads_than_there_is_room_for(tmp_path: Path) -> None:
    cache = SlowCache(tmp_path, MIB)
    with ThreadPoolExecutor(8) as pool:
        puts = [pool.submit(cache.put, str(number), noise(number, 250_000)) for number in range(8)]
        try:
            wait_until(
                lambda: len(cache.writing) + sum(put.done() for put in puts) == 8, "somebody hangs", 60
            )
        finally:
            cache.go_on.set()
    assert len(cache.writing) == len(list(files(tmp_path))) == 4, "the others are not kept"


def test_the_least_recently_used_goes_first(tmp_path: Path) -> None:
    cache = ReadCache(tmp_path, 160 * KIB)

    def last_use() -> int:
        return max((path.stat().st_mtime_ns for path in files(tmp_path)), default=0)

    def later(use: Callable[[], object]) -> None:
        """Use the cache strictly later than everything before: file times have coarse steps."""
        before = last_use()
        wait_until(lambda: (use(), last_use() > before)[1], "no use is later than those before")

    cache.put("used all the time", noise(0, 4000))
    for number in range(45):
        later(lambda number=number: cache.put(f"{number}", noise(number, 4000)))
        later(lambda: cache.get("used all the time"))
    assert cache.get("used all the time") == noise(0, 4000)
    assert cache.get("0") is None
    assert all(cache.get(f"{number}") is not None for number in range(30, 45))


WORKER = """
import random, sys
from pathlib import Path
from overwinter.vault.storage import ReadCache
from tests.vault.disks import noise
directory, limit, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
cache, chance, hits = ReadCache(directory, limit), random.Random(seed), 0
for _ in range(600):
    number = chance.randrange(60)
    found = cache.get(str(number))
    if found is None:
        cache.put(str(number), noise(number, 1000 * number))
    else:
        assert found == noise(number, 1000 * number), "wrong content"
        hits += 1
assert hits
"""


def test_several_processes_share_it(tmp_path: Path) -> None:
    """Four at once, with room for half of what they want: right content, and the bound of four processes."""
    arguments = [str(tmp_path), str(MIB)]
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, *arguments, str(seed)], cwd=ROOT, stderr=subprocess.PIPE
        )
        for seed in range(4)
    ]
    for worker in workers:
        _, complaint = worker.communicate()
        assert worker.returncode == 0, complaint.decode()
    assert occupied(tmp_path) <= MIB * 19 // 16


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    directory = tmp_path / "small"
    directory.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "overwinter-test", directory], capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount here: {mounted.stderr.decode()}")
    yield directory
    subprocess.run(["umount", directory], check=True)


def test_a_full_disk_fails_no_restore(small_disk: Path, tmp_path: Path) -> None:
    disk = noise(1, MIB)
    kept = back_up(new_vault(tmp_path / "vault"), "1", disk)
    cache = ReadCache(small_disk / "cache", 64 * MIB)
    cached = reopen(tmp_path / "vault", CachedStorage(LocalStorage(tmp_path / "vault"), cache, "here"))
    assert restore(cached, kept) == disk
    assert cached.read_range(kept, 0, len(disk)) == disk
    assert not [path for path in files(small_disk) if path.parent == small_disk / "cache"], "half files stay"


@pytest.mark.parametrize("obstacle", ["a file in its place", "a directory in an entry's place"])
def test_a_cache_that_cannot_be_used_fails_no_reader(tmp_path: Path, obstacle: str) -> None:
    directory = tmp_path / "cache"
    if obstacle == "a file in its place":
        directory.write_text("no directory")
    storage = CachedStorage(LocalStorage(tmp_path / "vault"), ReadCache(directory, MIB), "here")
    storage.put("index/1", [b"content"])
    assert storage.get("index/1") == b"content"
    for path in files(directory):
        path.unlink()
        path.mkdir()
    for _ in range(2):
        assert storage.get("index/1") == b"content"
    storage.delete(["index/1"])
    with pytest.raises(VaultObjectMissing):
        storage.get("index/1")


def test_a_vault_reads_its_maps_from_the_cache(
    behind: Counting, storage: CachedStorage, tmp_path: Path
) -> None:
    kept = back_up(new_vault(tmp_path / "vault"), "1", noise(1, 4 * MIB))
    reopen(tmp_path / "vault", storage).data_size(kept)
    behind.reads.clear()
    assert reopen(tmp_path / "vault", storage).data_size(kept) == 4 * MIB
    assert [name for name in behind.reads if name.startswith(("index/", "packs/"))] == []
