"""Reading a frozen chain through QEMU's own format code."""

from collections.abc import Iterator, Sequence

import nbd

from overwinter.images.frozen import FrozenDisk, check_depth
from overwinter.images.server import ALLOCATION, DEPTH, NbdServer
from overwinter.model.errors import ImageError
from overwinter.model.extent import Extent
from overwinter.model.vm import ImageLayer

#: Bytes asked for in one block status request: below 4 GiB, and few enough entries to keep memory small.
WINDOW = 1 << 30


class ServedDisk(FrozenDisk):
    """A frozen chain behind a private, read-only ``qemu-nbd``."""

    def __init__(self, chain: Sequence[ImageLayer]) -> None:
        self._name = chain[0].path
        self._layers = len(chain)
        self._server = NbdServer(chain)
        self.size = self._server.size

    def extents(self, depth: int | None) -> Iterator[Extent]:
        """See ``FrozenDisk``; from ``base:allocation`` and ``qemu:allocation-depth``."""
        check_depth(depth, self._layers)
        offset = 0
        while offset < self.size:
            runs = self._server.block_status(offset, min(WINDOW, self.size - offset))
            end = offset
            waiting: Extent | None = None
            for length, zero, layer in merge_runs(runs[ALLOCATION], runs[DEPTH]):
                wanted = not zero if depth is None else 1 <= layer <= depth
                if waiting and (not wanted or zero != waiting.zero):
                    yield waiting
                    waiting = None
                if wanted:
                    start = waiting.offset if waiting else end
                    waiting = Extent(start, end + length - start, zero)
                end += length
            if waiting:
                yield waiting
            if end == offset:
                raise ImageError(f"{self._name}: qemu-nbd reports no allocation at offset {offset}")
            offset = end

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """See ``FrozenDisk``."""
        self._server.transfer("reading", _read, offset, buffer)

    def close(self) -> None:
        """See ``FrozenDisk``."""
        self._server.close()


def _read(connection: "nbd.NBD", piece: memoryview, offset: int) -> int:
    cookie: int = connection.aio_pread(piece, offset)
    return cookie


def merge_runs(allocation: list[int], depths: list[int]) -> Iterator[tuple[int, bool, int]]:
    """Overlay both contexts' flat (length, status) lists: (length, reads as zeros, depth), as far as both go.

    Depth 0 means allocated nowhere, 1 the top layer (QEMU's ``qemu:allocation-depth``).
    """
    left = zip(allocation[::2], allocation[1::2], strict=True)
    right = zip(depths[::2], depths[1::2], strict=True)
    a_length = d_length = a_state = d_state = 0
    while True:
        if a_length == 0:
            a_length, a_state = next(left, (0, 0))
        if d_length == 0:
            d_length, d_state = next(right, (0, 0))
        length = min(a_length, d_length)
        if length == 0:
            return
        yield length, bool(a_state & nbd.STATE_ZERO), d_state
        a_length -= length
        d_length -= length
