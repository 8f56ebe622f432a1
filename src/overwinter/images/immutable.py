"""The immutable flag of files: while it is set nobody, root included, writes, renames or removes the file.

It is set on frozen layers that are under a lock, so that the lock holds against a slip of the hand too
(``rm``, ``virsh blockcommit``, ``qemu-img commit``). Files that we flag carry a mark, an extended attribute
that only root sees; a flag that somebody else set is theirs, and is neither counted nor cleared.

A file system without the flag or without such attributes (NFS, FUSE, some others) leaves files as they are:
the callers learn it and do not fail.

Source of facts: ioctl_iflags(2), xattr(7). What libvirt and QEMU make of it was tried
(docs/restore-points.md): nobody can change the owner of such a file, and libvirt goes on when it cannot, so
QEMU's user must be able to read the file before the flag is set.
"""

import contextlib
import errno
import fcntl
import os
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from overwinter.model.errors import ImageError

_GET_FLAGS = 0x80086601
_SET_FLAGS = 0x40086602
_IMMUTABLE = 0x10
_LONG = struct.Struct("l")

_MARK = "trusted.overwinter.locked"

#: How a file system says that it has no such flag or attribute, or a kernel that we may not set them.
_UNABLE = (errno.ENOTTY, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS, errno.EPERM, errno.EROFS)


@dataclass(frozen=True)
class Reader:
    """User and group that QEMU runs as."""

    uid: int
    gid: int

    def can_read(self, status: os.stat_result) -> bool:
        """Whether the mode of a file lets this user read it."""
        if self.uid in (0, status.st_uid):
            return self.uid == 0 or bool(status.st_mode & stat.S_IRUSR)
        return bool(status.st_mode & (stat.S_IRGRP if self.gid == status.st_gid else stat.S_IROTH))


def protect(path: str, reader: Reader) -> bool:
    """Set the flag; whether the file has it now. A file that ``reader`` cannot read is given to it first.

    False where there is no file, or its file system has no such flag. Raises ImageError.
    """
    with _opened(path) as file:
        if file is None:
            return False
        if _flags(file) & _IMMUTABLE:
            return _is_marked(file)
        try:
            if not reader.can_read(os.fstat(file)):
                os.fchown(file, reader.uid, reader.gid)
            os.setxattr(file, _MARK, b"1")
        except OSError as error:
            if error.errno not in _UNABLE:
                raise
            return False
        try:
            _set(file, _flags(file) | _IMMUTABLE)
        except OSError as error:
            if error.errno not in _UNABLE:
                raise
            os.removexattr(file, _MARK)
            return False
        return True


def release(path: str) -> None:
    """Clear the flag, if it is ours. Raises ImageError."""
    with _opened(path) as file:
        if file is not None and _is_marked(file):
            _set(file, _flags(file) & ~_IMMUTABLE)
            os.removexattr(file, _MARK)


def is_protected(path: str) -> bool:
    """Whether the file has the flag, and from us."""
    with _opened(path) as file:
        return file is not None and _is_marked(file) and bool(_flags(file) & _IMMUTABLE)


@contextlib.contextmanager
def _opened(path: str) -> Iterator[int | None]:
    """The regular file, open for reading; None when there is none. Errors within become ImageError."""
    try:
        is_file = stat.S_ISREG(os.lstat(path).st_mode)
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW) if is_file else None
    except FileNotFoundError:
        file = None
    except OSError as error:
        raise ImageError(f"{path} cannot be opened: {error.strerror}") from error
    if file is None:
        yield None
        return
    try:
        yield file
    except OSError as error:
        raise ImageError(f"the immutable flag of {path} cannot be changed: {error.strerror}") from error
    finally:
        os.close(file)


def _is_marked(file: int) -> bool:
    try:
        os.getxattr(file, _MARK)
    except OSError as error:
        if error.errno == errno.ENODATA or error.errno in _UNABLE:
            return False
        raise
    return True


def _flags(file: int) -> int:
    try:
        answer = fcntl.ioctl(file, _GET_FLAGS, _LONG.pack(0))
    except OSError as error:
        if error.errno in _UNABLE:
            return 0
        raise
    flags: int = _LONG.unpack(answer)[0]
    return flags


def _set(file: int, flags: int) -> None:
    fcntl.ioctl(file, _SET_FLAGS, _LONG.pack(flags))
