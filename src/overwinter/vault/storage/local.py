"""A vault's objects in a directory of this machine.

``obstore`` writes local files without fsync (its ``LocalStore`` has no such switch), so the local directory
is served here with plain system calls.
"""

import errno
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from overwinter.model.errors import (
    AlreadyExists,
    VaultDataCorrupt,
    VaultError,
    VaultObjectMissing,
    VaultStorageFull,
)
from overwinter.vault.file_operations import DirectoryEntry, FileOperations, SystemFiles
from overwinter.vault.reserve import RESERVE, Reserve
from overwinter.vault.storage.interface import UNFINISHED, Buffer, StoredObject

#: Times to write an object whose file another process discards: it cannot know that the writer lives.
_ATTEMPTS = 5


class LocalStorage:
    """A directory on this machine.

    A new object is written to a temporary file, synced, linked to its name (which fails when the name is
    taken), and its directory is synced. Directories are synced when entries are added or removed.
    """

    def __init__(self, root: Path, files: FileOperations | None = None) -> None:
        self._root = root
        self._files = files or SystemFiles()
        self._lock = threading.Lock()
        self._writing: set[str] = set()
        self._durable: set[Path] = set()
        #: None on another disk than the machine's: only the system knows how much room there is.
        self._reserve = Reserve(root) if files is None else None

    def put(self, name: str, parts: Sequence[Buffer]) -> None:
        """See ``Storage.put``."""
        while True:
            try:
                self._put(name, parts)
                break
            except VaultStorageFull:
                with _storage_errors(RESERVE):
                    if self._reserve is None or not self._reserve.release(sum(map(len, parts))):
                        raise
        self._keep_reserve()

    def _put(self, name: str, parts: Sequence[Buffer]) -> None:
        with _storage_errors(name):
            for _ in range(_ATTEMPTS - 1):
                with suppress(FileNotFoundError):
                    self._write(self._root / name, parts)
                    return
            self._write(self._root / name, parts)

    def _write(self, target: Path, parts: Sequence[Buffer]) -> None:
        with self._temporary_file() as temporary:
            descriptor = self._files.create(temporary)
            try:
                for part in parts:
                    self._write_all(descriptor, part)
                self._files.sync(descriptor)
            finally:
                self._files.close(descriptor)
            self._make_directory(target.parent)
            try:
                self._files.link(temporary, target)
            finally:  # also when the name is taken: who learns that relies on it
                self._files.sync_directory(target.parent)

    def get(self, name: str) -> bytes:
        """See ``Storage.get``."""
        with _storage_errors(name):
            return self._files.read(self._root / name)

    def get_range(self, name: str, offset: int, length: int) -> bytes:
        """See ``Storage.get_range``."""
        with _storage_errors(name):
            data = self._files.read_range(self._root / name, offset, length)
        if len(data) != length:
            raise VaultDataCorrupt(f"Vault object {name} is shorter than it must be: it was truncated.")
        return data

    def list(self, prefix: str) -> list[StoredObject]:
        """See ``Storage.list``."""
        with _storage_errors(prefix):
            found = list(self._objects(prefix))
        return sorted(
            (each for each in found if each.name != RESERVE and not each.name.startswith(f"{UNFINISHED}/")),
            key=lambda stored: stored.name,
        )

    def delete(self, names: Sequence[str]) -> None:
        """See ``Storage.delete``."""
        directories = set()
        for name in names:
            path = self._root / name
            with _storage_errors(name), suppress(FileNotFoundError):
                self._files.unlink(path)
            directories.add(path.parent)
        for directory in sorted(directories):
            with _storage_errors(str(directory)), suppress(FileNotFoundError):
                self._files.sync_directory(directory)

    def discard_unfinished(self) -> None:
        """See ``Storage.discard_unfinished``."""
        with self._lock, _storage_errors(UNFINISHED):
            directory = self._root / UNFINISHED
            for entry in self._entries(directory):
                if entry.name not in self._writing:
                    with suppress(FileNotFoundError):
                        self._files.unlink(directory / entry.name)

    @contextmanager
    def use_reserve(self, part: float = 1.0) -> Iterator[None]:
        """See ``Storage.use_reserve``."""
        try:
            with nullcontext() if self._reserve is None else self._reserve.use(part):
                yield
        finally:
            self._keep_reserve()

    @property
    def reads_at_once(self) -> int:
        """See ``Storage.reads_at_once``."""
        return 1

    def room(self) -> int | None:
        """See ``Storage.room``: of the file system; a quota is not known."""
        if self._reserve is None:
            return None
        with _storage_errors(RESERVE):
            system = os.statvfs(self._root)
            if not system.f_blocks:  # one of those in user space that say nothing
                return None
            return system.f_bavail * system.f_frsize + self._reserve.usable()

    def _keep_reserve(self) -> None:
        if self._reserve is not None:
            with _storage_errors(RESERVE):
                self._reserve.keep()

    @contextmanager
    def _temporary_file(self) -> Iterator[Path]:
        """A name nobody else uses, for the length of one write."""
        name = os.urandom(16).hex()
        with self._lock:
            self._writing.add(name)
        path = self._root / UNFINISHED / name
        try:
            self._make_directory(path.parent)
            yield path
        finally:
            with suppress(FileNotFoundError):
                self._files.unlink(path)
            with self._lock:
                self._writing.discard(name)

    def _objects(self, prefix: str) -> Iterator[StoredObject]:
        """Every file below a directory, whose name ends with a slash where it has one.

        A name may be there and not be durable: of a process that died before it synced the directory.
        """
        directory = self._root / prefix
        entries = self._entries(directory)
        with suppress(FileNotFoundError):
            self._files.sync_directory(directory)
        for entry in entries:
            if entry.size is None:
                yield from self._objects(f"{prefix}{entry.name}/")
            else:
                yield StoredObject(f"{prefix}{entry.name}", entry.size)

    def _entries(self, directory: Path) -> Sequence[DirectoryEntry]:
        """What a directory holds; nothing where there is none."""
        try:
            return self._files.entries(directory)
        except FileNotFoundError:
            return ()

    def _write_all(self, descriptor: int, data: Buffer) -> None:
        view = memoryview(data)
        while view:
            view = view[self._files.write(descriptor, view) :]

    def _make_directory(self, path: Path) -> None:
        """Make a directory and its missing parents, each name durable.

        A directory of the vault that is there already may be of a process that died before its name was
        durable, so each is synced once.
        """
        within = self._root in path.parents
        try:
            self._files.make_directory(path)
        except FileExistsError:
            if path in self._durable or not (within or path == self._root):
                return
        except FileNotFoundError:
            self._make_directory(path.parent)
            with suppress(FileExistsError):
                self._files.make_directory(path)
        if within:
            self._make_directory(path.parent)
        self._sync_name(path)
        self._durable.add(path)

    def _sync_name(self, path: Path) -> None:
        """Make the name of a directory durable; the vault's own may lie where only somebody else may."""
        try:
            self._files.sync_directory(path.parent)
        except PermissionError:
            if path != self._root:
                raise


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
