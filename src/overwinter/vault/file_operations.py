"""The file operations that a vault in a local directory is made of: the seam between it and the disk.

They are few, so that the tests can put a simulated disk under the local directory: one that loses power at
any place and keeps of what was not synced only a part. POSIX promises no more than that.
"""

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class DirectoryEntry:
    """One name in a directory; ``size`` in bytes, null for a directory."""

    name: str
    size: int | None


class FileOperations(Protocol):
    """What is done to files and directories. Every operation raises ``OSError`` as the system call does."""

    def create(self, path: Path) -> int:
        """Make a new file that only its owner may read; gives a descriptor for writing."""

    def write(self, descriptor: int, data: memoryview) -> int:
        """Append to a file; gives how many bytes were taken, which may be fewer than all."""

    def sync(self, descriptor: int) -> None:
        """Make a file's content durable; its name is not."""

    def close(self, descriptor: int) -> None:
        """Give the descriptor back."""

    def read(self, path: Path) -> bytes:
        """The whole file."""

    def read_range(self, path: Path, offset: int, length: int) -> bytes:
        """``length`` bytes from ``offset``, or as many as there are."""

    def link(self, source: Path, target: Path) -> None:
        """Give a file a second name; ``FileExistsError`` when the name is taken."""

    def unlink(self, path: Path) -> None:
        """Remove a name."""

    def make_directory(self, path: Path) -> None:
        """Make a directory that only its owner may use."""

    def sync_directory(self, path: Path) -> None:
        """Make durable which names a directory has."""

    def entries(self, path: Path) -> Sequence[DirectoryEntry]:
        """The files and directories in a directory, in any order; none that vanishes meanwhile."""


class SystemFiles:
    """The operating system's own."""

    def create(self, path: Path) -> int:
        """See ``FileOperations.create``."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def write(self, descriptor: int, data: memoryview) -> int:
        """See ``FileOperations.write``."""
        return os.write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        """See ``FileOperations.sync``."""
        os.fsync(descriptor)

    def close(self, descriptor: int) -> None:
        """See ``FileOperations.close``."""
        os.close(descriptor)

    def read(self, path: Path) -> bytes:
        """See ``FileOperations.read``."""
        return path.read_bytes()

    def read_range(self, path: Path, offset: int, length: int) -> bytes:
        """See ``FileOperations.read_range``."""
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            data = os.pread(descriptor, length, offset)
            while 0 < len(data) < length:
                more = os.pread(descriptor, length - len(data), offset + len(data))
                if not more:
                    break
                data += more
        finally:
            os.close(descriptor)
        return data

    def link(self, source: Path, target: Path) -> None:
        """See ``FileOperations.link``."""
        target.hardlink_to(source)

    def unlink(self, path: Path) -> None:
        """See ``FileOperations.unlink``."""
        path.unlink()

    def make_directory(self, path: Path) -> None:
        """See ``FileOperations.make_directory``."""
        path.mkdir(mode=0o700)

    def sync_directory(self, path: Path) -> None:
        """See ``FileOperations.sync_directory``."""
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def entries(self, path: Path) -> Sequence[DirectoryEntry]:
        """See ``FileOperations.entries``."""
        found = []
        with os.scandir(path) as scan:
            for entry in scan:
                if entry.is_dir():
                    found.append(DirectoryEntry(entry.name, None))
                elif entry.is_file():
                    with suppress(FileNotFoundError):  # removed since it was found
                        found.append(DirectoryEntry(entry.name, entry.stat().st_size))
        return found
