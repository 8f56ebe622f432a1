"""Disk maps: which chunk is at which offset of a disk, as a copy-on-write tree of pages.

A page is an array of up to 512 ids: of chunks at level 0, of pages above. The zero id stands for a range
that reads as zeros. Pages are blobs named by their content, so maps that agree somewhere share pages there,
and the root's id commits to every byte of the disk and to its size.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from overwinter.model.errors import VaultDataCorrupt
from overwinter.vault.seal import ID_LENGTH

#: Ids in a page: 16 KiB, which maps 128 MiB of disk in chunks of 256 KiB.
FANOUT = 512

ZERO_ID = bytes(ID_LENGTH)

_PAGE_HEADER = struct.Struct(">3sB")
_PAGE_MAGIC = b"OWM"
_ROOT = struct.Struct(f">4sQI{ID_LENGTH}s")
_ROOT_MAGIC = b"OWR1"

LoadPage = Callable[[bytes], bytes]
StorePage = Callable[[bytes], bytes]


@dataclass(frozen=True)
class DiskMap:
    """One disk's content at one point: size and chunk size in bytes, and the id of the map's root."""

    size: int
    root: bytes
    chunk_size: int


@dataclass(frozen=True)
class Run:
    """Ids of consecutive chunks from chunk number ``first``."""

    first: int
    ids: bytes

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        for number in range(len(self.ids) // ID_LENGTH):
            yield self.first + number, self.ids[number * ID_LENGTH : (number + 1) * ID_LENGTH]


def encode_root(size: int, chunk_size: int, tree: bytes) -> bytes:
    """The root blob of a map."""
    return _ROOT.pack(_ROOT_MAGIC, size, chunk_size, tree)


def decode_root(blob: bytes, size: int, chunk_size: int) -> bytes:
    """The tree id in a root blob. Raises ``VaultDataCorrupt`` when the blob is not of such a disk."""
    if len(blob) != _ROOT.size or blob[:4] != _ROOT_MAGIC:
        raise VaultDataCorrupt("A disk map's root is damaged: it is no root.")
    _, found_size, found_chunk_size, tree = _ROOT.unpack(blob)
    if (found_size, found_chunk_size) != (size, chunk_size):
        raise VaultDataCorrupt(f"A disk map is of a disk of {found_size} bytes, not {size}.")
    return bytes(tree)


class Shape:
    """How many entries each level of a map has, level 0 (chunks) first; the last level is one page."""

    def __init__(self, size: int, chunk_size: int) -> None:
        entries = [-(-size // chunk_size)]
        while entries[-1] > FANOUT:
            entries.append(-(-entries[-1] // FANOUT))
        self._entries = entries
        self.top = len(entries) - 1
        self.chunks = entries[0]

    def page_entries(self, level: int, page: int) -> int:
        """Number of ids in a page."""
        return min(FANOUT, self._entries[level] - page * FANOUT)


class MapReader:
    """Walks a map. ``load`` gives a page blob's verified content by id."""

    def __init__(self, shape: Shape, tree: bytes, load: LoadPage) -> None:
        self._shape = shape
        self._tree = tree
        self._load = load

    def runs(self, first: int, count: int) -> Iterator[Run]:
        """The ids of ``count`` chunks from ``first``, in order, leaving out pages that are all zero."""
        return self._walk(self._shape.top, 0, self._tree, first, first + count)

    def pages(self, skip: Callable[[bytes], bool]) -> Iterator[Run]:
        """Like ``runs`` over the whole disk, leaving out every page for which ``skip(id)`` holds."""
        return self._walk(self._shape.top, 0, self._tree, 0, self._shape.chunks, skip)

    def _walk(
        self,
        level: int,
        page: int,
        page_id: bytes,
        first: int,
        end: int,
        skip: Callable[[bytes], bool] | None = None,
    ) -> Iterator[Run]:
        if page_id == ZERO_ID or first >= end or (skip is not None and skip(page_id)):
            return
        entries = decode_page(self._load(page_id), level, self._shape.page_entries(level, page))
        width = FANOUT**level  # chunks below one entry of this page
        start = page * FANOUT * width
        low = max(0, (first - start) // width)
        high = min(len(entries) // ID_LENGTH, -(-(end - start) // width))
        if level == 0:
            yield Run(start + low, entries[low * ID_LENGTH : high * ID_LENGTH])
            return
        for number in range(low, high):
            child = entries[number * ID_LENGTH : (number + 1) * ID_LENGTH]
            yield from self._walk(level - 1, page * FANOUT + number, child, first, end, skip)


class _OpenPage:
    """The page of one level that is being changed."""

    def __init__(self, page: int, entries: bytes, *, lost: bool = False) -> None:
        self.page = page
        self.before = b"" if lost else entries
        self.entries = bytearray(entries)


class MapWriter:
    """Makes a new map from an old one by changes in ascending order of chunk numbers.

    Only pages with changes are loaded, and only pages that really differ are stored. ``store`` keeps a page
    blob and gives its id. ``tree`` is the old map's tree, or ``ZERO_ID`` for a disk of zeros. ``load`` gives
    null for a page that is lost; every chunk below it must be put then.
    """

    def __init__(
        self, shape: Shape, tree: bytes, load: Callable[[bytes], bytes | None], store: StorePage
    ) -> None:
        self._shape = shape
        self._tree = tree
        self._load = load
        self._store = store
        self._open: list[_OpenPage | None] = [None] * (shape.top + 1)

    def put(self, first: int, ids: bytes) -> None:
        """Set the ids of consecutive chunks from ``first``."""
        begin = 0
        while begin < len(ids):
            page, at = divmod(first + begin // ID_LENGTH, FANOUT)
            part = ids[begin : begin + (FANOUT - at) * ID_LENGTH]
            self._page(0, page).entries[at * ID_LENGTH : at * ID_LENGTH + len(part)] = part
            begin += len(part)

    def clear(self, first: int, count: int, level: int = 0) -> None:
        """Make ``count`` chunks read as zeros; whole pages are dropped without being loaded."""
        end = first + count
        while first < end:
            page, at = divmod(first, FANOUT)
            here = self._shape.page_entries(level, page)
            if at == 0 and end - first >= here and level < self._shape.top:
                pages = (end - first) // FANOUT or 1
                self._close(level)
                self.clear(page, pages, level + 1)
                first += min(pages * FANOUT, end - first)
                continue
            taken = min(end - first, here - at)
            self._page(level, page).entries[at * ID_LENGTH : (at + taken) * ID_LENGTH] = bytes(
                taken * ID_LENGTH
            )
            first += taken

    def finish(self) -> bytes:
        """The new map's tree; the old one when nothing changed."""
        for level in range(self._shape.top + 1):
            self._close(level)
        return self._tree

    def _page(self, level: int, page: int) -> _OpenPage:
        """The open page, after closing the one before it on its level."""
        current = self._open[level]
        if current is not None and current.page == page:
            return current
        self._close(level)
        page_id = self._tree
        if level < self._shape.top:
            above, at = divmod(page, FANOUT)
            entries = self._page(level + 1, above).entries
            page_id = bytes(entries[at * ID_LENGTH : (at + 1) * ID_LENGTH])
        here = self._shape.page_entries(level, page)
        stored = None if page_id == ZERO_ID else self._load(page_id)
        if stored is None:
            opened = _OpenPage(page, bytes(here * ID_LENGTH), lost=page_id != ZERO_ID)
        else:
            opened = _OpenPage(page, decode_page(stored, level, here))
        self._open[level] = opened
        return opened

    def _close(self, level: int) -> None:
        """Store the open page of a level when it changed, and set its id in the page above."""
        current = self._open[level]
        self._open[level] = None
        if current is None or current.entries == current.before:
            return
        page_id = ZERO_ID if not any(current.entries) else self._store(encode_page(level, current.entries))
        if level == self._shape.top:
            self._tree = page_id
            return
        above, at = divmod(current.page, FANOUT)
        self._page(level + 1, above).entries[at * ID_LENGTH : (at + 1) * ID_LENGTH] = page_id


def encode_page(level: int, entries: bytes | bytearray) -> bytes:
    """The blob of a page."""
    return _PAGE_HEADER.pack(_PAGE_MAGIC, level) + entries


def decode_page(blob: bytes, level: int, count: int) -> bytes:
    """The ids in a page blob. Raises ``VaultDataCorrupt`` when it is not such a page."""
    if len(blob) != _PAGE_HEADER.size + count * ID_LENGTH or blob[:4] != _PAGE_HEADER.pack(
        _PAGE_MAGIC, level
    ):
        raise VaultDataCorrupt(f"A page of a disk map is damaged: it is no page of level {level}.")
    return blob[_PAGE_HEADER.size :]
