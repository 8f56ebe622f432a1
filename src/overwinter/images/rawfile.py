"""Reading a frozen raw file or block device without QEMU in between."""

import errno
import os
from collections.abc import Iterator

from overwinter.images.frozen import FrozenDisk, check_depth
from overwinter.images.lock import hold_unwritten
from overwinter.model.errors import ImageError
from overwinter.model.extent import Extent

SECTOR = 512


class RawDisk(FrozenDisk):
    """A frozen raw image, under the lock of QEMU's readers: no virtual machine can write to it meanwhile."""

    def __init__(self, path: str) -> None:
        self._path = path
        try:
            self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise ImageError(f"{path} cannot be opened: {error.strerror}", cause="C-IMAGE-AWAY") from error
        try:
            hold_unwritten(self._file, path)
            self._bytes = os.lseek(self._file, 0, os.SEEK_END)
        except BaseException:
            os.close(self._file)
            raise
        # A guest sees whole sectors; the rest of the last one reads as zeros.
        self.size = -(-self._bytes // SECTOR) * SECTOR

    def extents(self, depth: int | None) -> Iterator[Extent]:
        """See ``FrozenDisk``; from the holes of the file system."""
        check_depth(depth, 1)
        position = 0
        while position < self.size:
            data = self._seek(position, os.SEEK_DATA)
            if depth is not None and data > position:
                yield Extent(position, data - position, zero=True)
            if data >= self.size:
                return
            position = self._seek(data, os.SEEK_HOLE)
            yield Extent(data, position - data)

    def _seek(self, position: int, what: int) -> int:
        """Next data or hole at or after ``position``; the disk's end when there is none."""
        try:
            found = os.lseek(self._file, position, what)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return self.size
            if error.errno in (errno.EINVAL, errno.ENOTSUP):  # block devices know no holes
                return position if what == os.SEEK_DATA else self.size
            raise ImageError(f"{self._path}: {error.strerror} at offset {position}") from error
        return found if found < self._bytes else self.size

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """See ``FrozenDisk``."""
        if offset + len(buffer) > self.size:
            raise ImageError(f"reading {self._path} at offset {offset} failed: the disk ends at {self.size}")
        read_fully(self._file, self._path, offset, buffer, end=self._bytes)

    def close(self) -> None:
        """See ``FrozenDisk``."""
        os.close(self._file)


def read_fully(file: int, path: str, offset: int, buffer: memoryview, *, end: int) -> None:
    """Fill ``buffer`` from ``offset``, zeros behind ``end``. Raises ImageError when the file is shorter."""
    inside = max(0, min(len(buffer), end - offset))
    done = 0
    while done < inside:
        try:
            count = os.preadv(file, [buffer[done:inside]], offset + done)
        except OSError as error:
            raise ImageError(f"reading {path} at offset {offset + done} failed: {error.strerror}") from error
        if count == 0:
            raise ImageError(f"reading {path} at offset {offset + done} failed: the file became shorter")
        done += count
    if inside < len(buffer):
        buffer[inside:] = bytes(len(buffer) - inside)
