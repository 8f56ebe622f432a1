"""Room held back on a local file system, so that a vault that has filled it can still be cleaned up.

To delete is to write a little first: a mark, what a collection decides, copies of what is needed in packs
that are to go. The reserve is a file of blocks that are really allocated. Work that deletes says so
(``use``); only when a write of it finds no room the file is cut by as much as the write needs, and it is made
whole again afterwards. A backup never gets any of it.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

#: Name of the file, beside a vault's objects; it is none of them.
RESERVE = "reserve"

#: Bytes: 1/16 of the file system but not more than 64 MiB (two packs); nothing where that is too little.
LARGEST = 64 * 1024 * 1024
_SHARE = 16
_LEAST = 128 * 1024

#: Bytes that a new object may take beside its own: directory entries, directories, whole blocks.
_BESIDE = 16 * 1024

#: There is no room, or the file system cannot hold back any; glibc writes where it lacks fallocate.
_IMPOSSIBLE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EOPNOTSUPP}


@dataclass(frozen=True)
class _Use:
    """Leave to use a part (up to 1) of the reserve at a path."""

    path: Path
    part: float


#: What the present work may use: of a context, so that threads working for others have no part in it.
_using: ContextVar[_Use | None] = ContextVar("overwinter_vault_reserve", default=None)


class Reserve:
    """The reserve of the vault in directory ``root``. Raises ``OSError`` where it says nothing else."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._path = root / RESERVE
        self._whole = False

    @contextmanager
    def use(self, part: float) -> Iterator[None]:
        """Let the work in this ``with`` statement use ``part`` of the reserve; ``keep`` it afterwards."""
        token = _using.set(_Use(self._path, part))
        try:
            yield
        finally:
            _using.reset(token)
            self._whole = False

    def keep(self) -> None:
        """Make the reserve whole, when there is room and it is not being used. Cheap when it is whole."""
        if self._whole or self._part():
            return
        size = self._size()
        if not size:
            self._whole = True
            return
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                before = os.fstat(descriptor).st_size
                if before < size:
                    _allocate(descriptor, before, size)
            finally:
                os.close(descriptor)
        except OSError as error:
            if error.errno not in _IMPOSSIBLE:
                raise
        else:
            self._whole = True

    def release(self, length: int) -> bool:
        """Give back room for an object of ``length`` bytes; false when the work may have nothing more."""
        part = self._part()
        if not part:
            return False
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            held = os.fstat(descriptor).st_size
            left = max(self._untouched(part), held - length - _BESIDE)
            if left >= held:
                return False
            self._whole = False
            os.ftruncate(descriptor, left)
            os.fsync(descriptor)  # some file systems give blocks out again only after that
        finally:
            os.close(descriptor)
        return True

    def usable(self) -> int:
        """Bytes that the present work may still have of it."""
        part = self._part()
        if not part or not self._path.exists():
            return 0
        return max(0, self._path.stat().st_size - self._untouched(part))

    def _part(self) -> float:
        use = _using.get()
        return use.part if use is not None and use.path == self._path else 0.0

    def _untouched(self, part: float) -> int:
        return int(self._size() * (1 - part))

    def _size(self) -> int:
        """How large it should be."""
        system = os.statvfs(self._root)
        size = min(LARGEST, system.f_blocks * system.f_frsize // _SHARE)
        return size if size >= _LEAST else 0


def _allocate(descriptor: int, before: int, size: int) -> None:
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError:
        os.ftruncate(descriptor, before)
        raise
