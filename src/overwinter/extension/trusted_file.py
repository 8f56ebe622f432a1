"""Files that decide what runs as root: read only when nobody but root can have written or placed them.

Python 3.6, standard library only.
"""

import os
import stat
from pathlib import Path
from typing import NamedTuple


class NotTrusted(Exception):
    """Others than root may have had a hand in the file, or it is none that can be read."""


class WrongOwner(NotTrusted):
    """The file, or a directory above it, belongs to somebody else."""


class TrustedFile(NamedTuple):
    """The file's path without symbolic links, its permission bits, and the bytes at its beginning."""

    path: Path
    mode: int
    content: bytes


def read_trusted(path: Path, forbidden: int, most_bytes: int) -> TrustedFile:
    """At most ``most_bytes`` of a regular file that has none of the ``forbidden`` permission bits.

    The open file is what is examined, and no directory on the way lets others put another one in its place:
    each belongs to root, and where others may write, they may not remove what is root's.

    Raises NotTrusted, and FileNotFoundError.
    """
    try:
        real = path.parent.resolve() / path.name
        descriptor = os.open(str(real), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except (
        OSError,
        RuntimeError,
    ) as error:  # it, or a loop on the way to it, is a symbolic link among others
        raise NotTrusted("cannot be opened: {}".format(error)) from error
    try:
        status = os.fstat(descriptor)
        mode = stat.S_IMODE(status.st_mode)
        if not stat.S_ISREG(status.st_mode):
            raise NotTrusted("is no regular file")
        if status.st_uid != 0:
            raise WrongOwner("does not belong to root")
        if mode & forbidden:
            raise NotTrusted("has mode {:o}, at most {:o} is safe".format(mode, 0o777 & ~forbidden))
        for directory in real.parents:
            above = directory.stat()
            if above.st_uid != 0:
                raise WrongOwner("lies in {}, which does not belong to root".format(directory))
            if above.st_mode & 0o022 and not above.st_mode & stat.S_ISVTX:
                raise NotTrusted("lies in {}, to which others can write".format(directory))
        return TrustedFile(real, mode, os.read(descriptor, most_bytes))
    finally:
        os.close(descriptor)
