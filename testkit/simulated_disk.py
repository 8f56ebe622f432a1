"""A disk in memory under the vault's local directory: it records every change and may fail at any."""

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random

from overwinter.vault.file_operations import DirectoryEntry
from testkit.disk_history import (
    TOP,
    DirectorySynced,
    Named,
    Nodes,
    Operation,
    Synced,
    Tree,
    Written,
    crash_states,
)

#: A write takes at most so many bytes, as a write may take fewer than it was given.
_MOST_PER_WRITE = 16 * 1024

#: Called before each change with its place in the history; what it raises happens instead of the change.
Interrupt = Callable[[int], None]


class SimulatedDisk:
    """``FileOperations`` on a disk that begins as ``tree``, all of it durable, or empty."""

    def __init__(self, tree: Tree | None = None) -> None:
        self.history: list[Operation] = []
        self.interrupt: Interrupt | None = None
        self._nodes = Nodes()
        self._last = TOP
        if tree is not None:
            self._fill(tree)
        self._begin = self._nodes.copy()

    @property
    def tree(self) -> Tree:
        """What a program sees now: all that was done, durable or not."""
        return self._nodes.tree()

    def crash_states(self, random: Random, mixtures: int, first: int = 0) -> Iterator[tuple[int, Tree]]:
        """See ``disk_history.crash_states``."""
        begin = self._begin.copy()
        for file in self._nodes.contents:
            begin.contents.setdefault(file, b"")
        for directory in self._nodes.names:
            begin.names.setdefault(directory, {})
        return crash_states(begin, self.history, random, mixtures, first)

    def create(self, path: Path) -> int:
        """See ``FileOperations.create``."""
        self._pause()
        directory = self._free_place(path)
        file = self._new_file(b"")
        self._do(Named(directory, path.name, file))
        return file

    def write(self, descriptor: int, data: memoryview) -> int:
        """See ``FileOperations.write``."""
        self._pause()
        taken = bytes(data[:_MOST_PER_WRITE])
        self._do(Written(descriptor, len(self._nodes.contents[descriptor]), taken))
        return len(taken)

    def sync(self, descriptor: int) -> None:
        """See ``FileOperations.sync``."""
        self._pause()
        self._do(Synced(descriptor))

    def close(self, descriptor: int) -> None:
        """See ``FileOperations.close``."""

    def read(self, path: Path) -> bytes:
        """See ``FileOperations.read``."""
        return self._nodes.contents[self._file(path)]

    def read_range(self, path: Path, offset: int, length: int) -> bytes:
        """See ``FileOperations.read_range``."""
        if offset < 0:
            raise _failure(errno.EINVAL, path)
        return self.read(path)[offset : offset + length]

    def link(self, source: Path, target: Path) -> None:
        """See ``FileOperations.link``."""
        self._pause()
        self._do(Named(self._free_place(target), target.name, self._file(source)))

    def unlink(self, path: Path) -> None:
        """See ``FileOperations.unlink``."""
        self._pause()
        self._file(path)
        self._do(Named(self._directory(path.parent), path.name, None))

    def make_directory(self, path: Path) -> None:
        """See ``FileOperations.make_directory``."""
        self._pause()
        self._do(Named(self._free_place(path), path.name, self._new_directory()))

    def sync_directory(self, path: Path) -> None:
        """See ``FileOperations.sync_directory``."""
        self._pause()
        self._do(DirectorySynced(self._directory(path)))

    def entries(self, path: Path) -> Sequence[DirectoryEntry]:
        """See ``FileOperations.entries``."""
        found = self._nodes.names[self._directory(path)]
        return [
            DirectoryEntry(name, None if node in self._nodes.names else len(self._nodes.contents[node]))
            for name, node in found.items()
        ]

    def _pause(self) -> None:
        """Before an operation looks at anything: others may work on the disk here."""
        if self.interrupt is not None:
            self.interrupt(len(self.history))

    def _do(self, operation: Operation) -> None:
        self._nodes.apply(operation)
        self.history.append(operation)

    def _fill(self, tree: Tree) -> None:
        places = {"": TOP}
        for path in sorted(tree.directories - {""}):
            parent, _, name = path.rpartition("/")
            places[path] = self._nodes.names[places[parent]][name] = self._new_directory()
        for path, content in tree.files.items():
            parent, _, name = path.rpartition("/")
            self._nodes.names[places[parent]][name] = self._new_file(content)

    def _new_file(self, content: bytes) -> int:
        self._last += 1
        self._nodes.contents[self._last] = content
        return self._last

    def _new_directory(self) -> int:
        self._last += 1
        self._nodes.names[self._last] = {}
        return self._last

    def _node(self, path: Path) -> int:
        node = TOP
        for name in path.parts[1:]:
            if node not in self._nodes.names:
                raise _failure(errno.ENOTDIR, path)
            if name not in self._nodes.names[node]:
                raise _failure(errno.ENOENT, path)
            node = self._nodes.names[node][name]
        return node

    def _file(self, path: Path) -> int:
        node = self._node(path)
        if node in self._nodes.names:
            raise _failure(errno.EISDIR, path)
        return node

    def _directory(self, path: Path) -> int:
        node = self._node(path)
        if node not in self._nodes.names:
            raise _failure(errno.ENOTDIR, path)
        return node

    def _free_place(self, path: Path) -> int:
        """The directory in which a name is free."""
        directory = self._directory(path.parent)
        if path.name in self._nodes.names[directory]:
            raise _failure(errno.EEXIST, path)
        return directory


def _failure(code: int, path: Path) -> OSError:
    """What the system call would raise; ``OSError`` chooses the class by the code."""
    return OSError(code, os.strerror(code), str(path))
