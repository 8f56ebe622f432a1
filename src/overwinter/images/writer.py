"""Making and filling disk images: what is not written stays a hole."""

import os
import threading
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Protocol

from overwinter.images.new_qcow2 import NewQcow2
from overwinter.images.qemu_img import qemu_img
from overwinter.images.spec import check_format
from overwinter.model.errors import AlreadyExists, ImageError
from overwinter.model.vm import DiskFormat, ImageLayer

#: Bytes after which the kernel is asked to begin writing them out.
WRITE_BACK_STEP = 64 << 20


def create_image(path: str, format: str, size: int, cluster_size: int | None = None) -> ImageLayer:  # noqa: A002
    """Make a new, empty, sparse image of ``size`` bytes, readable by its owner only.

    ``cluster_size`` in bytes is for qcow2. Raises AlreadyExists when there is something at ``path`` already
    (it is not touched), ImageError when the image cannot be made (nothing is left behind then).
    """
    layer = ImageLayer(path, format)
    check_format(layer)
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise AlreadyExists(f"{path} exists already; name another target or remove it") from None
    except OSError as error:
        raise ImageError(f"{path} cannot be created: {error.strerror}") from error
    try:
        if format == DiskFormat.RAW:
            os.truncate(file, size)
        else:
            options = ["-o", f"cluster_size={cluster_size}"] if cluster_size else []
            qemu_img("create", "-q", "-f", format, *options, path, str(size))
    except BaseException as error:
        Path(path).unlink(missing_ok=True)  # qemu-img removes it too
        if isinstance(error, OSError):
            raise ImageError(f"{path} cannot be made {size} bytes long: {error.strerror}") from error
        raise
    finally:
        os.close(file)
    return layer


class _Filling(Protocol):
    """How one format is filled; its methods raise ``OSError``."""

    size: int

    def write(self, offset: int, data: memoryview) -> None:
        """Write bytes of the disk; from many threads at once."""

    def finish(self) -> None:
        """Make all of it durable. On the descriptor that wrote: it is told of every failed write-back."""


class ImageWriter(AbstractContextManager["ImageWriter"]):
    """A new image being filled. Leaving the ``with`` statement without ``finish`` abandons it."""

    def __init__(self, layer: ImageLayer) -> None:
        self._path = layer.path
        try:
            self._file: int | None = os.open(layer.path, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise ImageError(f"{layer.path} cannot be opened for writing: {error.strerror}") from error
        try:
            self._filling: _Filling = (
                _Raw(self._file) if layer.format == DiskFormat.RAW else NewQcow2(self._file, layer.path)
            )
            self._write_back = _EarlyWriteBack(layer.path)
        except BaseException:
            os.close(self._file)
            raise

    def write(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        """Write ``data`` at ``offset``; from many threads at once if they like. Raises ImageError."""
        self._check_open()
        if offset + len(data) > self._filling.size:
            raise ImageError(f"{self._path} ends at {self._filling.size}, before {offset + len(data)}")
        try:
            self._filling.write(offset, memoryview(data))
        except OSError as error:
            raise ImageError(f"writing {self._path} at offset {offset} failed: {error.strerror}") from error
        self._write_back.wrote(len(data))

    def finish(self) -> None:
        """Return when everything is safe on the disk, the file's name included. Raises ImageError."""
        self._check_open()
        try:
            self._filling.finish()
        except OSError as error:
            raise ImageError(f"{self._path} cannot be made durable: {error.strerror}") from error
        sync(self._path)
        self.abandon()

    def abandon(self) -> None:
        """Let go of the image, whatever state it is in; does nothing after ``finish``."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
            self._write_back.close()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.abandon()

    def _check_open(self) -> None:
        if self._file is None:
            raise ImageError(f"{self._path} is closed")


def open_writer(path: str, format: str) -> ImageWriter:  # noqa: A002
    """Open an image that `create_image` has made and nobody has finished. Raises ImageError."""
    layer = ImageLayer(path, format)
    check_format(layer)
    return ImageWriter(layer)


class _Raw:
    def __init__(self, file: int) -> None:
        self._file = file
        self.size = os.lseek(file, 0, os.SEEK_END)

    def write(self, offset: int, data: memoryview) -> None:
        while data:
            count = os.pwrite(self._file, data, offset)
            data, offset = data[count:], offset + count

    def finish(self) -> None:
        os.fsync(self._file)


class _EarlyWriteBack:
    """Has the kernel write data out while more of it comes, so that ``finish`` need not wait for all of it.

    ``POSIX_FADV_DONTNEED`` begins to write the dirty pages of the file, whichever process made them, and
    drops those already written: a restored disk does not push everything else out of the page cache.
    """

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._lock = threading.Lock()
        self._written = 0

    def wrote(self, count: int) -> None:
        """``count`` more bytes were written to the file."""
        with self._lock:
            self._written += count
            if self._written < WRITE_BACK_STEP:
                return
            self._written = 0
        os.posix_fadvise(self._file, 0, 0, os.POSIX_FADV_DONTNEED)

    def close(self) -> None:
        """Let go of the file; more than once is no error."""
        with self._lock:
            file, self._file = self._file, -1
        if file >= 0:
            os.close(file)


def sync(path: str) -> None:
    """Make a file's content and its name durable. Raises ImageError."""
    for name in (path, str(Path(path).parent)):
        try:
            file = os.open(name, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(file)
            finally:
                os.close(file)
        except OSError as error:
            raise ImageError(f"{name} cannot be made durable: {error.strerror}") from error
