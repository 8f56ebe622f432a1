"""Marking: everything that recovery points need, found by walking their maps level by level.

Pages that several maps share are walked once. Where two versions of a page follow each other, only the ids in
which they differ are looked at: a small change writes a page of 512 ids anew for one of them. Pages are read
in the order of the packs; ids are marked many at a time.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import numpy as np

from overwinter.model.errors import VaultDataCorrupt, VaultError, VaultFormatUnsupported
from overwinter.vault.blobs import BlobStore
from overwinter.vault.bulk import read_many
from overwinter.vault.diskmap import FANOUT, DiskMap, Shape, decode_page, decode_root
from overwinter.vault.leaf import Leaf, decode_leaf
from overwinter.vault.seal import ID_LENGTH, BlobKind
from overwinter.vault.table import U64, Bools, Rows

#: Pages that are read together, and pages that are compared together (their ids: about 3 MiB).
_PAGES = 16 * 1024
_COMPARED = 2 * 1024

#: Maps that are walked together: as many as have their new pages among those that are read together, so that
#: a pack in which several of them lie is opened once.
_MAPS = 32


#: Is told each page as it is read: its id, and the leaf that it is, or the ids of pages in it.
PageRead = Callable[[bytes, Leaf | bytes], object]


class Marks(Protocol):
    """Who is told what is needed."""

    def mark(self, ids: bytes | bytearray, kind: BlobKind) -> Iterable[bool]:
        """Take note of ids that follow each other (of zeros: none); gives for each whether it is new.

        A page that is not new is not looked into.
        """

    def unreadable(self, page: bytes, error: VaultError) -> None:
        """A page cannot be read, for a reason. An exception from here ends it all."""


@dataclass(frozen=True)
class _Page:
    """A page of a map: its id and its place."""

    id: bytes
    shape: Shape
    level: int
    number: int


def mark_disks(
    blobs: BlobStore, disks: Iterable[DiskMap], marks: Marks, page_read: PageRead | None = None
) -> None:
    """Mark every blob that the disks need; pages higher in a map come first.

    Quickest when versions of one disk follow each other. Raises what ``marks`` and ``page_read`` raise.
    """
    disks = iter(disks)
    while some := list(islice(disks, _MAPS)):
        _mark_together(blobs, some, marks, page_read)


def _mark_together(blobs: BlobStore, disks: list[DiskMap], marks: Marks, page_read: PageRead | None) -> None:
    roots = dict.fromkeys(disks)
    new = _new(marks, [disk.root for disk in roots])
    pages = []
    for disk, is_new in zip(roots, new, strict=True):
        if is_new:
            try:
                tree = decode_root(blobs.read(BlobKind.PAGE, disk.root), disk.size, disk.chunk_size)
            except (VaultDataCorrupt, VaultFormatUnsupported) as error:
                marks.unreadable(disk.root, error)
                continue
            shape = Shape(disk.size, disk.chunk_size)
            pages.append(_Page(tree, shape, shape.top, 0))
    while pages:
        # Versions of one page next to each other, in the order of their maps.
        waiting, pages = sorted(pages, key=lambda page: (page.level, page.number)), []
        before = b""
        for begin in range(0, len(waiting), _PAGES):
            some = waiting[begin : begin + _PAGES]
            new = _new(marks, [page.id for page in some])
            wanted = [page for page, is_new in zip(some, new, strict=True) if is_new]
            entries = _entries(blobs, marks, wanted, page_read)
            for first in range(0, len(wanted), _COMPARED):
                compared = [before, *entries[first : first + _COMPARED]]
                before = compared[-1]
                pages += _follow(marks, wanted[first : first + _COMPARED], compared)


def _new(marks: Marks, ids: list[bytes]) -> list[bool]:
    return list(marks.mark(b"".join(ids), BlobKind.PAGE)) if ids else []


def _entries(
    blobs: BlobStore, marks: Marks, pages: Sequence[_Page], page_read: PageRead | None
) -> list[bytes]:
    """The ids in each page; none of one that cannot be read."""
    result = [b""] * len(pages)
    for position, stored in read_many(blobs, BlobKind.PAGE, [page.id for page in pages]):
        page = pages[position]
        try:
            content = blobs.read(BlobKind.PAGE, page.id) if stored is None else stored
            found = _decoded(page, content)
        except (VaultDataCorrupt, VaultFormatUnsupported) as error:
            marks.unreadable(page.id, error)
            continue
        if page_read is not None:
            page_read(page.id, found)
        result[position] = found.ids if isinstance(found, Leaf) else found
    return result


def _decoded(page: _Page, content: bytes) -> Leaf | bytes:
    """A leaf, or the ids in a page above."""
    if page.level:
        return decode_page(content, page.level, page.shape.page_entries(page.level, page.number))
    return decode_leaf(content, page.shape.page_blocks(0, page.number))


def _follow(marks: Marks, pages: Sequence[_Page], entries: Sequence[bytes]) -> Iterator[_Page]:
    """Mark the chunks that pages name, give the pages below; ``entries`` begin with the page before them."""
    ids = _words(b"".join(entries))
    starts = np.cumsum([0, *(len(each) // ID_LENGTH for each in entries)])
    changed = _changed(ids, starts)
    owners = np.searchsorted(starts, changed, "right") - 2
    is_leaf = np.array([page.level == 0 for page in pages], bool)[owners]
    if chunks := ids[:, changed[is_leaf]].T.tobytes():
        marks.mark(chunks, BlobKind.CHUNK)
    for number, place in zip(owners[~is_leaf].tolist(), changed[~is_leaf].tolist(), strict=True):
        page = pages[number]
        below = page.number * FANOUT + place - int(starts[number + 1])
        yield _Page(ids[:, place].tobytes(), page.shape, page.level - 1, below)


def _changed(ids: U64, starts: Rows) -> Rows:
    """The places of ids that are neither zero nor in the page before; ascending. Of the first page: none.

    ``starts`` are where each page's ids begin, and the end. A change of a leaf may move the ids after it, so
    two pages are compared from their beginnings and from their ends.
    """
    lengths = np.diff(starts)
    places = np.arange(starts[1], starts[-1])
    own, before = (np.repeat(each, lengths[1:]) for each in (lengths[1:], lengths[:-1]))
    from_start = places - np.repeat(starts[1:-1], lengths[1:])
    changed: Bools = (ids[0, starts[1] :] != 0) | (ids[1, starts[1] :] != 0)
    for there, behind in ((from_start < before, before), (own - from_start <= before, own)):
        known = np.flatnonzero(there)
        same = ids[:, places[known]] == ids[:, places[known] - behind[known]]
        changed[known[same.all(axis=0)]] = False
    return places[changed]


def _words(entries: bytes) -> U64:
    """A column of two numbers for each id."""
    return np.frombuffer(entries, np.uint64).reshape(-1, ID_LENGTH // 8).T
