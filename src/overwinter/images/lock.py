"""QEMU's image lock, taken by us where we read a file without QEMU.

QEMU guards images by open-file-description locks on single bytes (its ``block/file-posix.c``): byte 100 + p
says "I use permission p", byte 200 + p "I do not share permission p". A reader that shares no writing
therefore locks byte 100 (consistent read) and 201 and 203 (write, resize), and looks whether anyone holds
101 or 103.
"""

import errno
import fcntl
import os
import struct

from overwinter.model.errors import ImageError

_F_OFD_SETLK = 37
_F_OFD_GETLK = 36
#: ``struct flock`` of 64-bit Linux: type, whence, start, length, process id.
_FLOCK = "hhqqi4x"
_USED = 100
_UNSHARED = 200
#: From the first byte of the one kind to the last of the other.
_BYTES = 200
_CONSISTENT_READ = 0
_WRITE = 1
_RESIZE = 3


def hold_unwritten(file: int, path: str) -> None:
    """Keep writers that respect QEMU's lock out until the descriptor is closed.

    Raises ImageError when there is one already.
    """
    _share(file, path, _USED + _CONSISTENT_READ)
    for permission in (_WRITE, _RESIZE):
        _share(file, path, _UNSHARED + permission)
    for permission in (_WRITE, _RESIZE):
        if _is_held(file, _USED + permission):
            raise ImageError(f"{path} is being written to by another program; it is no frozen image")
    if _is_held(file, _UNSHARED + _CONSISTENT_READ):
        raise ImageError(f"{path} is used by another program that does not share it")


def is_locked(file: int) -> bool:
    """Whether a QEMU has the image open, for whatever it does with it. ``file`` is open for reading."""
    return _is_held(file, _USED, _BYTES)


def _lock(kind: int, byte: int, length: int = 1) -> bytes:
    return struct.pack(_FLOCK, kind, os.SEEK_SET, byte, length, 0)


def _share(file: int, path: str, byte: int) -> None:
    try:
        fcntl.fcntl(file, _F_OFD_SETLK, _lock(fcntl.F_RDLCK, byte))
    except OSError as error:
        words = "another program is opening it" if error.errno == errno.EAGAIN else error.strerror
        raise ImageError(f"{path} cannot be locked against writing: {words}") from error


def _is_held(file: int, byte: int, length: int = 1) -> bool:
    """Whether anybody else holds a lock there."""
    answer = fcntl.fcntl(file, _F_OFD_GETLK, _lock(fcntl.F_WRLCK, byte, length))
    kind: int = struct.unpack(_FLOCK, answer)[0]
    return kind != fcntl.F_UNLCK
