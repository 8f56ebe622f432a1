"""Disk maps: which chunk is at which place of a disk, as a copy-on-write tree of pages.

A page at level 0 is a `leaf`: the chunks of one region of the disk. A page above is an array of up to 512 ids
of pages one level lower. The zero id stands for a range that reads as zeros. Pages are blobs named by their
content, so maps that agree somewhere share pages there, and the root's id commits to every byte of the disk
and to its size. Places and lengths are in blocks of 4 KiB.
"""

import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from overwinter.model.errors import VaultDataCorrupt
from overwinter.vault.chunking import BLOCK, is_chunk_size
from overwinter.vault.leaf import ZERO_ID, Leaf, Part, decode_leaf, encode_leaf, spliced, zeros
from overwinter.vault.seal import ID_LENGTH

#: Ids in a page above the leaves (8 KiB).
FANOUT = 512

#: A region of the disk, which one leaf maps, is as long as so many of the shortest chunks.
REGION_CHUNKS = 128

_PAGE_HEADER = struct.Struct(">3sB")
_PAGE_MAGIC = b"OWM"
_ROOT = struct.Struct(f">4sQI{ID_LENGTH}s")
_ROOT_MAGIC = b"OWR2"

#: Gives a page's verified content by its id; null for one that is lost.
LoadPage = Callable[[bytes], bytes | None]
StorePage = Callable[[bytes], bytes]


@dataclass(frozen=True)
class DiskMap:
    """One disk's content at one point: its size and that of its shortest chunks in bytes, its root's id."""

    size: int
    root: bytes
    chunk_size: int

    def length(self, part: Part) -> int:
        """Bytes of a part of this disk: its last block may be shorter."""
        return min(part.count * BLOCK, self.size - part.first * BLOCK)


def encode_root(size: int, chunk_size: int, tree: bytes) -> bytes:
    """The root blob of a map."""
    return _ROOT.pack(_ROOT_MAGIC, size, chunk_size, tree)


def decode_root(blob: bytes, size: int, chunk_size: int) -> bytes:
    """The tree id in a root blob. Raises ``VaultDataCorrupt`` when the blob is not of such a disk."""
    if len(blob) != _ROOT.size or blob[:4] != _ROOT_MAGIC:
        raise VaultDataCorrupt("A disk map's root is damaged: it is no root.")
    _, found_size, found_chunk_size, tree = _ROOT.unpack(blob)
    if (found_size, found_chunk_size) != (size, chunk_size) or not is_chunk_size(chunk_size):
        raise VaultDataCorrupt(f"A disk map is of a disk of {found_size} bytes, not {size}.")
    return bytes(tree)


class Shape:
    """How many pages each level of a map has, leaves first; the last level is one page."""

    def __init__(self, size: int, chunk_size: int) -> None:
        self.blocks = -(-size // BLOCK)
        self.region = chunk_size // BLOCK * REGION_CHUNKS
        pages = [-(-self.blocks // self.region)]
        while pages[-1] > 1:
            pages.append(-(-pages[-1] // FANOUT))
        self._pages = pages
        self.top = len(pages) - 1

    def page_entries(self, level: int, page: int) -> int:
        """Number of ids in a page above the leaves."""
        return min(FANOUT, self._pages[level - 1] - page * FANOUT)

    def width(self, level: int) -> int:
        """How many blocks a page maps that does not end with the disk."""
        return self.region * int(FANOUT**level)

    def first(self, level: int, page: int) -> int:
        """First block that a page maps."""
        return page * self.width(level)

    def page_blocks(self, level: int, page: int) -> int:
        """How many blocks a page maps."""
        return min(self.width(level), self.blocks - self.first(level, page))


class MapReader:
    """Walks a map. What lies below a page that ``load`` calls lost is left out."""

    def __init__(self, shape: Shape, tree: bytes, load: LoadPage) -> None:
        self._shape = shape
        self._tree = tree
        self._load = load

    def chunks(self, first: int = 0, count: int | None = None) -> Iterator[Part]:
        """The chunks that touch ``count`` blocks from ``first`` (null: all that follow), in order."""
        end = self._shape.blocks if count is None else first + count
        return self._walk(self._shape.top, 0, self._tree, first, end)

    def _walk(self, level: int, page: int, page_id: bytes, first: int, end: int) -> Iterator[Part]:
        if page_id == ZERO_ID or first >= end:
            return
        shape = self._shape
        blob = self._load(page_id)
        if blob is None:
            return
        start = shape.first(level, page)
        if level == 0:
            leaf = decode_leaf(blob, shape.page_blocks(0, page))
            yield from (part for part in leaf.parts(start, first, end) if not part.is_zero)
            return
        entries = decode_page(blob, level, shape.page_entries(level, page))
        width = shape.width(level - 1)  # blocks below one entry of this page
        low = max(0, (first - start) // width)
        high = min(len(entries) // ID_LENGTH, -(-(end - start) // width))
        for number in range(low, high):
            child = entries[number * ID_LENGTH : (number + 1) * ID_LENGTH]
            yield from self._walk(level - 1, page * FANOUT + number, child, first, end)


class _OpenPage:
    """The page of one level above the leaves that is being changed."""

    def __init__(self, page: int, entries: bytes, *, lost: bool = False) -> None:
        self.page = page
        self.before = b"" if lost else entries
        self.entries = bytearray(entries)


class _OpenLeaf:
    """The leaf that is being changed: what it was, and what is put into it."""

    def __init__(self, page: int, blob: bytes | None, leaf: Leaf) -> None:
        self.page = page
        self.blob = blob
        self.leaf = leaf
        self.new: list[Part] = []


class MapWriter:
    """Makes a new map from an old one by changes in ascending order.

    Only pages with changes are loaded, and only pages that really differ are stored. ``store`` keeps a page
    blob and gives its id. ``tree`` is the old map's tree, or ``ZERO_ID`` for a disk of zeros. Everything
    below a page that ``load`` calls lost must be put.
    """

    def __init__(self, shape: Shape, tree: bytes, load: LoadPage, store: StorePage) -> None:
        self._shape = shape
        self._tree = tree
        self._load = load
        self._store = store
        self._leaf: _OpenLeaf | None = None
        self._open: list[_OpenPage | None] = [None] * (shape.top + 1)

    def put(self, parts: Iterable[Part]) -> None:
        """Set parts of the disk, ascending, zeros too. A chunk lies in one region and replaces whole ones."""
        for part in parts:
            if part.is_zero:
                self._clear(part.first, part.end)
            else:
                self._leaf_of(part.first).new.append(part)

    def finish(self) -> bytes:
        """The new map's tree; the old one when nothing changed."""
        self._close_up_to(self._shape.top)
        return self._tree

    def _clear(self, first: int, end: int) -> None:
        """Make blocks read as zeros; whole pages are dropped without being loaded."""
        shape = self._shape
        while first < end:
            level = self._widest(first, end)
            if level is None:
                leaf = first // shape.region
                stop = min(end, (leaf + 1) * shape.region)
                self._leaf_of(first).new.append(Part(first, stop - first, ZERO_ID))
                first = stop
                continue
            page = first // shape.width(level)
            self._close_up_to(level)
            self._set(level, page, ZERO_ID)
            first += shape.page_blocks(level, page)

    def _widest(self, first: int, end: int) -> int | None:
        """The highest level at which a page begins at ``first`` and does not end after ``end``."""
        shape, found = self._shape, None
        for level in range(shape.top + 1):
            page, within = divmod(first, shape.width(level))
            if within or first + shape.page_blocks(level, page) > end:
                break
            found = level
        return found

    def _leaf_of(self, block: int) -> _OpenLeaf:
        """The open leaf, after closing the one before it."""
        page = block // self._shape.region
        current = self._leaf
        if current is not None and current.page == page:
            return current
        self._close_up_to(0)
        page_id = self._id(0, page)
        blocks = self._shape.page_blocks(0, page)
        blob = b"" if page_id == ZERO_ID else self._load(page_id)
        opened = _OpenLeaf(page, blob, decode_leaf(blob, blocks) if blob else zeros(blocks))
        self._leaf = opened
        return opened

    def _page(self, level: int, page: int) -> _OpenPage:
        """The open page of a level above the leaves, after closing the one before it."""
        current = self._open[level]
        if current is not None and current.page == page:
            return current
        self._close(level)
        page_id = self._id(level, page)
        here = self._shape.page_entries(level, page)
        stored = None if page_id == ZERO_ID else self._load(page_id)
        if stored is None:
            opened = _OpenPage(page, bytes(here * ID_LENGTH), lost=page_id != ZERO_ID)
        else:
            opened = _OpenPage(page, decode_page(stored, level, here))
        self._open[level] = opened
        return opened

    def _id(self, level: int, page: int) -> bytes:
        """The id of a page that is not open."""
        if level == self._shape.top:
            return self._tree
        above, at = divmod(page, FANOUT)
        entries = self._page(level + 1, above).entries
        return bytes(entries[at * ID_LENGTH : (at + 1) * ID_LENGTH])

    def _set(self, level: int, page: int, page_id: bytes) -> None:
        """Set the id of a page in the one above it."""
        if level == self._shape.top:
            self._tree = page_id
            return
        above, at = divmod(page, FANOUT)
        self._page(level + 1, above).entries[at * ID_LENGTH : (at + 1) * ID_LENGTH] = page_id

    def _close_up_to(self, level: int) -> None:
        """Close the open pages of the levels from 0 to ``level``, lower ones first."""
        self._close_leaf()
        for each in range(1, level + 1):
            self._close(each)

    def _close_leaf(self) -> None:
        """Store the open leaf when it changed, and set its id in the page above."""
        current = self._leaf
        self._leaf = None
        if current is None:
            return
        parts = spliced(current.leaf.parts(self._shape.first(0, current.page)), current.new)
        blob = b"" if all(part.is_zero for part in parts) else encode_leaf(parts)
        if blob != current.blob:
            self._set(0, current.page, self._store(blob) if blob else ZERO_ID)

    def _close(self, level: int) -> None:
        """Store the open page of a level above the leaves when it changed, and set its id likewise."""
        current = self._open[level]
        self._open[level] = None
        if current is None or current.entries == current.before:
            return
        page_id = ZERO_ID if not any(current.entries) else self._store(encode_page(level, current.entries))
        self._set(level, current.page, page_id)


def encode_page(level: int, entries: bytes | bytearray) -> bytes:
    """The blob of a page above the leaves."""
    return _PAGE_HEADER.pack(_PAGE_MAGIC, level) + entries


def decode_page(blob: bytes, level: int, count: int) -> bytes:
    """The ids in a page blob above the leaves. Raises ``VaultDataCorrupt`` when it is not such a page."""
    if len(blob) != _PAGE_HEADER.size + count * ID_LENGTH or blob[:4] != _PAGE_HEADER.pack(
        _PAGE_MAGIC, level
    ):
        raise VaultDataCorrupt(f"A page of a disk map is damaged: it is no page of level {level}.")
    return blob[_PAGE_HEADER.size :]
