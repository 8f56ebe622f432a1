"""Where a vault's objects lie: a few operations on write-once objects, and the local directory.

``obstore`` writes local files without fsync (its ``LocalStore`` has no such switch), so the local directory
is served here with plain system calls; stores that promise durability themselves can be added beside it.
"""

import errno
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from overwinter.model.errors import (
    AlreadyExists,
    VaultDataCorrupt,
    VaultError,
    VaultObjectMissing,
    VaultStorageFull,
)

Buffer = bytes | bytearray | memoryview

#: Directory of files that are being written; nothing in it is ever read.
UNFINISHED = "tmp"


@dataclass(frozen=True)
class StoredObject:
    """Name and size in bytes of one object."""

    name: str
    size: int


class Storage(Protocol):
    """Write-once objects under slash-separated names.

    Every method raises ``VaultError`` when the storage does not answer. All methods may be called from any
    thread.
    """

    def put(self, name: str, parts: Sequence[Buffer]) -> None:
        """Store ``parts`` as a new object; when this returns it is durable, and it never exists in part.

        Raises ``AlreadyExists`` when the name is taken and ``VaultStorageFull`` when there is no room.
        """

    def get(self, name: str) -> bytes:
        """The whole object. Raises ``VaultObjectMissing``."""

    def get_range(self, name: str, offset: int, length: int) -> bytes:
        """Exactly ``length`` bytes from ``offset``.

        Raises ``VaultObjectMissing``, or ``VaultDataCorrupt`` when the object ends before that.
        """

    def list(self, prefix: str) -> list[StoredObject]:
        """All finished objects whose name starts with ``prefix`` (a directory path or empty), by name."""

    def delete(self, names: Sequence[str]) -> None:
        """Remove objects, durably; a name that is not there is no error."""

    def discard_unfinished(self) -> None:
        """Remove what writers that died left behind."""


class LocalStorage:
    """A directory on this machine.

    A new object is written to a temporary file, synced, linked to its name (which fails when the name is
    taken), and its directory is synced. Directories are synced when entries are added or removed.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()
        self._counter = 0
        self._writing: set[str] = set()

    def put(self, name: str, parts: Sequence[Buffer]) -> None:
        """See ``Storage.put``."""
        target = self._root / name
        with _storage_errors(name), self._temporary_file() as temporary:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                for part in parts:
                    _write_all(descriptor, part)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            _make_directory(target.parent)
            target.hardlink_to(temporary)
            _sync_directory(target.parent)

    def get(self, name: str) -> bytes:
        """See ``Storage.get``."""
        with _storage_errors(name):
            return (self._root / name).read_bytes()

    def get_range(self, name: str, offset: int, length: int) -> bytes:
        """See ``Storage.get_range``."""
        with _storage_errors(name):
            descriptor = os.open(f"{self._root}/{name}", os.O_RDONLY | os.O_CLOEXEC)
            try:
                data = os.pread(descriptor, length, offset)
                while 0 < len(data) < length:
                    more = os.pread(descriptor, length - len(data), offset + len(data))
                    if not more:
                        break
                    data += more
            finally:
                os.close(descriptor)
        if len(data) != length:
            raise VaultDataCorrupt(f"Vault object {name} is shorter than it must be: it was truncated.")
        return data

    def list(self, prefix: str) -> list[StoredObject]:
        """See ``Storage.list``."""
        with _storage_errors(prefix):
            return sorted(self._objects(prefix), key=lambda stored: stored.name)

    def delete(self, names: Sequence[str]) -> None:
        """See ``Storage.delete``."""
        directories = set()
        for name in names:
            path = self._root / name
            with _storage_errors(name):
                path.unlink(missing_ok=True)
            directories.add(path.parent)
        for directory in sorted(directories):
            with _storage_errors(str(directory)):
                if directory.is_dir():
                    _sync_directory(directory)

    def discard_unfinished(self) -> None:
        """See ``Storage.discard_unfinished``."""
        with self._lock, _storage_errors(UNFINISHED):
            directory = self._root / UNFINISHED
            for path in directory.iterdir() if directory.is_dir() else ():
                if path.name not in self._writing:
                    path.unlink(missing_ok=True)

    def _objects(self, place: str) -> Iterator[StoredObject]:
        """The objects in a directory and below; what others remove meanwhile may be left out."""
        with suppress(FileNotFoundError), os.scandir(f"{self._root}/{place}") as entries:
            for entry in entries:
                name = f"{place}{entry.name}"
                if not entry.is_dir():
                    with suppress(FileNotFoundError):
                        yield StoredObject(name, entry.stat().st_size)
                elif name != UNFINISHED:
                    yield from self._objects(f"{name}/")

    @contextmanager
    def _temporary_file(self) -> Iterator[Path]:
        """A name nobody else uses, for the length of one write."""
        with self._lock:
            self._counter += 1
            name = f"{os.getpid()}-{id(self):x}-{self._counter}"
            self._writing.add(name)
        path = self._root / UNFINISHED / name
        try:
            _make_directory(path.parent)
            yield path
        finally:
            path.unlink(missing_ok=True)
            with self._lock:
                self._writing.discard(name)


def open_storage(url: str) -> Storage:
    """The storage a vault URL names: ``file:///absolute/path``.

    Raises ``VaultError`` for any other kind of URL.
    """
    parts = urlsplit(url)
    path = unquote(parts.path)
    if parts.scheme != "file" or parts.netloc not in ("", "localhost") or not path.startswith("/"):
        raise VaultError(f"Vault URL {url!r} is not supported; give a local directory as file:///path.")
    return LocalStorage(Path(path))


@contextmanager
def _storage_errors(name: str) -> Iterator[None]:
    """Turn what the operating system says into the errors of the house."""
    try:
        yield
    except FileExistsError as error:
        raise AlreadyExists(f"Vault object {name} exists already; it was not changed.") from error
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise VaultObjectMissing(f"Vault object {name} is missing ({error}).") from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise VaultStorageFull(
                "The vault's storage is full; nothing was lost. Free space there, then run the job again."
            ) from error
        raise VaultError(f"The vault's storage failed at {name}: {error}") from error


def _write_all(descriptor: int, data: Buffer) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _make_directory(path: Path) -> None:
    """Make a directory and its missing parents, each entry durable."""
    if path.is_dir():
        return
    _make_directory(path.parent)
    path.mkdir(mode=0o700, exist_ok=True)
    _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
