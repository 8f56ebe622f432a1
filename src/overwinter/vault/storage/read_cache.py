"""A bounded cache on local disk for vaults behind a network: index, manifests, and small pieces of packs.

Objects are written once, so what is cached is right for as long as its object exists. It is as encrypted as
it lies in the vault. Several processes may share a directory: an entry is a file that appears whole, and the
time of its last use is the file's own time. Nothing the cache does can fail a reader: whatever goes wrong
with it counts as not cached.
"""

import os
import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from stat import S_ISREG

import structlog
from blake3 import blake3

from overwinter.vault.storage.interface import Buffer, Storage, StoredObject

log = structlog.get_logger(__name__)

#: What is read again and again, under names that are never given twice. Keys and manifests are left out: what
#: somebody takes away must be gone everywhere.
_CACHED = ("index/", "packs/")

#: Longest piece of a pack that is kept, in bytes: pages, headers, single chunks. The long runs that a restore
#: reads once would only push these out.
_LONGEST_RANGE = 512 * 1024

_DIGEST_LENGTH = 32

#: What file systems give out space in, in bytes.
_BLOCK = 4096


class ReadCache:
    """Pieces of data under keys in a directory of its own, the least recently used ones removed.

    ``limit`` bounds the bytes of disk that are taken while one process writes; each further process may add
    a sixteenth, or a piece where that is larger. A piece larger than a quarter of the limit is not kept.
    """

    def __init__(self, directory: Path, limit: int) -> None:
        self._directory = directory
        self._limit = limit
        self._lock = threading.Lock()
        self._budget = 0  # bytes that may be written before the directory is looked at again
        self._under_way = 0  # bytes that threads are writing, which such a look may not see yet
        self._complained = False

    def get(self, key: str) -> bytes | None:
        """What is kept under ``key``, unharmed, or null."""
        path = self._path(key)
        try:
            stored = path.read_bytes()
            data = stored[_DIGEST_LENGTH:]
            if stored[:_DIGEST_LENGTH] == _digest(key, data):
                os.utime(path)
                return data
            path.unlink()
            log.warning("a damaged file in the read cache was removed", path=str(path))
        except FileNotFoundError:
            pass  # never kept, or removed by another process just now
        except OSError as error:
            self._complain(error)
        return None

    def put(self, key: str, data: bytes) -> None:
        """Keep ``data`` if there is room for it."""
        size = _occupied(_DIGEST_LENGTH + len(data))
        if size > self._limit // 4:
            return
        try:
            if not self._reserve(size):
                return
            try:
                self._write(self._path(key), _digest(key, data), data)
            finally:
                with self._lock:
                    self._under_way -= size
        except OSError as error:
            self._complain(error)

    def forget(self, key: str) -> None:
        """Keep nothing under ``key``."""
        try:
            self._path(key).unlink(missing_ok=True)
        except OSError as error:
            self._complain(error)

    def _path(self, key: str) -> Path:
        name = blake3(key.encode()).hexdigest(16)
        return self._directory / name[:2] / name

    def _write(self, path: Path, *parts: bytes) -> None:
        """Make a file that appears whole; after a crash of the machine its checksum tells."""
        temporary = self._directory / f"{os.getpid()}-{threading.get_ident()}"
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                for part in parts:
                    file.write(part)
            path.parent.mkdir(mode=0o700, exist_ok=True)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)

    def _reserve(self, size: int) -> bool:
        """Whether there is room for ``size`` bytes, which are under way then; looks at the whole directory
        once per sixteenth of the limit. There is none where other threads are just filling it."""
        with self._lock:
            if size > self._budget:
                budget = max(size, self._limit // 16)
                left = self._limit - budget - self._under_way
                if left < 0:
                    return False
                self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._directory.chmod(0o700)
                self._trim(left)
                self._budget = budget
            self._budget -= size
            self._under_way += size
            return True

    def _trim(self, limit: int) -> None:
        """Remove the least recently used files until ``limit`` bytes are left."""
        files = []
        for path in self._directory.rglob("*"):
            try:
                status = path.stat()
            except FileNotFoundError:
                continue  # removed by another process just now
            if S_ISREG(status.st_mode):
                files.append((status.st_mtime_ns, _occupied(status.st_size), path))
        total = sum(size for _, size, _ in files)
        for _, size, path in sorted(files):
            if total <= limit:
                break
            path.unlink(missing_ok=True)
            total -= size

    def _complain(self, error: OSError) -> None:
        """Once is enough: a full disk would be reported at every read."""
        if not self._complained:
            self._complained = True
            log.warning("the read cache cannot be used; reading goes on without it", error=str(error))


class CachedStorage:
    """The storage ``beneath``, read through a cache. ``scope`` tells it from others in the same cache."""

    def __init__(self, storage: Storage, cache: ReadCache, scope: str) -> None:
        self.beneath = storage
        self._cache = cache
        self._scope = scope

    def put(self, name: str, parts: Sequence[Buffer]) -> None:
        """See ``Storage.put``."""
        self.beneath.put(name, parts)

    def get(self, name: str) -> bytes:
        """See ``Storage.get``."""
        if not name.startswith(_CACHED):
            return self.beneath.get(name)
        key = self._key(name)
        data = self._cache.get(key)
        if data is None:
            data = self.beneath.get(name)
            self._cache.put(key, data)
        return data

    def get_range(self, name: str, offset: int, length: int) -> bytes:
        """See ``Storage.get_range``."""
        if not name.startswith(_CACHED) or length > _LONGEST_RANGE:
            return self.beneath.get_range(name, offset, length)
        key = self._key(f"{name} {offset} {length}")
        data = self._cache.get(key)
        if data is None:
            data = self.beneath.get_range(name, offset, length)
            self._cache.put(key, data)
        return data

    def list(self, prefix: str) -> list[StoredObject]:
        """See ``Storage.list``. Never cached: it is the truth about what exists."""
        return self.beneath.list(prefix)

    def delete(self, names: Sequence[str]) -> None:
        """See ``Storage.delete``."""
        self.beneath.delete(names)
        for name in names:
            self._cache.forget(self._key(name))

    def discard_unfinished(self) -> None:
        """See ``Storage.discard_unfinished``."""
        self.beneath.discard_unfinished()

    def use_reserve(self, part: float = 1.0) -> AbstractContextManager[None]:
        """See ``Storage.use_reserve``: that of the store."""
        return self.beneath.use_reserve(part)

    @property
    def reads_at_once(self) -> int:
        """See ``Storage.reads_at_once``: that of the store."""
        return self.beneath.reads_at_once

    def room(self) -> int | None:
        """See ``Storage.room``: that of the store."""
        return self.beneath.room()

    def _key(self, what: str) -> str:
        return f"{self._scope} {what}"


def uncached(storage: Storage) -> Storage:
    """The storage itself, for whoever must see what really lies there."""
    return storage.beneath if isinstance(storage, CachedStorage) else storage


def _digest(key: str, data: bytes) -> bytes:
    """Tells a whole entry under its own name from a torn, damaged or misplaced one; protects nothing."""
    digest = blake3(key.encode() + b"\0")
    digest.update(data)
    return digest.digest()


def _occupied(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK
