"""Where do a disk's bytes lie in its files?

``qemu-img map`` tells, for every range that is stored plainly, the layer and the offset in its file. For
frozen layers the answer stays true, so that bulk data can be read straight from the files; what is
compressed or encrypted has no offset and stays QEMU's to read.
"""

import json
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from overwinter.images.qemu_img import qemu_img
from overwinter.images.spec import file_name
from overwinter.model.vm import ImageLayer

#: Bytes of disk that are asked for at once.
WINDOW = 256 << 20

#: A longer answer (about 40,000 entries) describes a window in crumbs, which QEMU reads as fast as we would.
#: This bounds the memory of a kept window to 1 MB.
LONGEST_ANSWER = 4 << 20

#: Sources that are no layer: the range reads as zeros; only QEMU can read it.
ZEROS = -1
ENCODED = -2


@dataclass(frozen=True)
class Place:
    """``length`` bytes at ``offset`` in the file of layer number ``source`` (or ZEROS, ENCODED)."""

    source: int
    offset: int
    length: int


class MapWindow:
    """The places of one window of a disk."""

    def __init__(self, chain: Sequence[ImageLayer], start: int, length: int) -> None:
        """Ask QEMU; raises ImageError."""
        self._starts = array("Q")
        self._sources = array("h")
        self._offsets = array("Q")
        self._end = start + length
        answer = qemu_img(
            "map",
            "--output=json",
            f"--start-offset={start}",
            f"--max-length={length}",
            file_name(*chain),
        )
        crumbs = [{"start": start, "data": True, "zero": False}]
        for entry in json.loads(answer) if len(answer) <= LONGEST_ANSWER else crumbs:
            self._starts.append(entry["start"])
            if entry["zero"] or not entry["data"]:
                self._sources.append(ZEROS)
            else:
                self._sources.append(entry["depth"] if "offset" in entry else ENCODED)
            self._offsets.append(entry.get("offset", 0))

    def places(self, start: int, length: int) -> Iterator[Place]:
        """The places of a range inside the window, in order."""
        index = bisect_right(self._starts, start) - 1
        end = start + length
        while start < end:
            following = self._starts[index + 1] if index + 1 < len(self._starts) else self._end
            piece = min(end, following) - start
            yield Place(self._sources[index], self._offsets[index] + start - self._starts[index], piece)
            start += piece
            index += 1
