"""Reading a frozen chain's bulk straight from its files, QEMU beside it for everything else.

What comes through ``qemu-nbd`` costs more than three times the processor time of a read from the file, and a
backup has better use for it. QEMU still says what changed and where each range lies, reads what is compressed
or encrypted, and holds the lock that keeps writers away.
"""

import os
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from threading import Lock

from overwinter.images.frozen import FrozenDisk
from overwinter.images.hostmap import ENCODED, WINDOW, ZEROS, MapWindow
from overwinter.images.rawfile import read_fully
from overwinter.images.served import ServedDisk
from overwinter.model.errors import ImageError
from overwinter.model.extent import Extent
from overwinter.model.vm import ImageLayer

#: Bytes read from a window before asking for its map pays; scattered small reads never ask.
MAP_AFTER = 8 << 20

#: Windows whose maps are kept, the last used ones.
KEPT_WINDOWS = 8


class MappedDisk(FrozenDisk):
    """A frozen chain whose plain data is read directly."""

    def __init__(self, chain: Sequence[ImageLayer], *, map_after: int = MAP_AFTER) -> None:
        self._chain = tuple(chain)
        self._map_after = map_after
        self._served = ServedDisk(chain)  # first: from here on nobody writes to the files
        self.size = self._served.size
        self._files: list[int] = []
        self._ends: list[int] = []
        try:
            for layer in chain:
                self._files.append(os.open(layer.path, os.O_RDONLY | os.O_CLOEXEC))
                self._ends.append(os.lseek(self._files[-1], 0, os.SEEK_END))
        except OSError as error:
            self.close()
            raise ImageError(
                f"{layer.path} cannot be opened: {error.strerror}", cause="C-IMAGE-AWAY"
            ) from error
        self._lock = Lock()
        self._loading = Lock()
        self._bytes_read: dict[int, int] = {}
        self._windows: OrderedDict[int, MapWindow] = OrderedDict()

    def extents(self, depth: int | None) -> Iterator[Extent]:
        """See ``FrozenDisk``."""
        return self._served.extents(depth)

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """See ``FrozenDisk``."""
        while buffer:
            number = offset // WINDOW
            piece = buffer[: (number + 1) * WINDOW - offset]
            window = self._window(number, len(piece)) if offset + len(piece) <= self.size else None
            if window is None:
                self._served.read_into(offset, piece)
            else:
                self._read_mapped(window, offset, piece)
            offset += len(piece)
            buffer = buffer[len(piece) :]

    def _read_mapped(self, window: MapWindow, offset: int, buffer: memoryview) -> None:
        done = 0
        for place in window.places(offset, len(buffer)):
            piece = buffer[done : done + place.length]
            if place.source == ZEROS:
                piece[:] = bytes(len(piece))
            elif place.source == ENCODED:
                self._served.read_into(offset + done, piece)
            else:
                # Behind the end of a file QEMU reads zeros, and so do we.
                path, end = self._chain[place.source].path, self._ends[place.source]
                read_fully(self._files[place.source], path, place.offset, piece, end=end)
            done += place.length

    def _window(self, number: int, length: int) -> MapWindow | None:
        """The window's map, or null as long as it is not worth having."""
        with self._lock:
            window = self._windows.get(number)
            if window is not None:
                self._windows.move_to_end(number)
                return window
            self._bytes_read[number] = self._bytes_read.get(number, 0) + length
            if self._bytes_read[number] < self._map_after:
                return None
        if not self._loading.acquire(blocking=False):
            return None  # another thread asks QEMU right now; reading through the server beats waiting
        try:
            start = number * WINDOW
            window = MapWindow(self._chain, start, min(WINDOW, self.size - start))
        finally:
            self._loading.release()
        with self._lock:
            self._bytes_read.pop(number, None)  # another thread may have asked at the same time
            self._windows[number] = window
            if len(self._windows) > KEPT_WINDOWS:
                self._windows.popitem(last=False)
        return window

    def close(self) -> None:
        """See ``FrozenDisk``."""
        self._served.close()
        for file in self._files:
            os.close(file)
