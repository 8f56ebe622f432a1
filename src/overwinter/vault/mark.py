"""Marking: everything that recovery points need, found by walking their maps level by level.

Pages that several maps share are walked once. Where two versions of a page follow each other, only the ids in
which they differ are looked at: a small change writes a page of 512 ids anew for one of them. Pages are read
by several threads; ids are marked many at a time.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import numpy as np

from overwinter.model.errors import VaultDataCorrupt, VaultError, VaultFormatUnsupported
from overwinter.vault.blobs import BlobStore
from overwinter.vault.diskmap import FANOUT, DiskMap, Shape, decode_page, decode_root
from overwinter.vault.leaf import Leaf, decode_leaf
from overwinter.vault.seal import ID_LENGTH, BlobKind
from overwinter.vault.table import U64, Rows
from overwinter.vault.workers import ordered_map, worker_count

#: Ids of chunks that are gathered before they are marked (1 MiB), and pages that are looked at together.
_CHUNK_IDS = 64 * 1024
_PAGES = 16 * 1024

#: Pages that one worker reads at a time.
_BATCH = 32

#: Maps that are walked together, so that ids come in large numbers.
_MAPS = 256


#: Is told each page as it is read: its id, and the leaf that it is, or the ids of pages in it.
PageRead = Callable[[bytes, Leaf | bytes], object]


class Marks(Protocol):
    """Who is told what is needed."""

    def mark(self, ids: bytes | bytearray, kind: BlobKind) -> Iterable[bool]:
        """Take note of ids that follow each other (of zeros: none); gives for each whether it is new.

        A page that is not new is not looked into.
        """

    def unreadable(self, page: bytes, error: VaultError) -> None:
        """A page cannot be read, for a reason. Told in any thread; an exception from here ends it all."""


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
    chunk_ids = bytearray()
    while pages:
        # Versions of one page next to each other, in the order of their maps.
        waiting, pages = sorted(pages, key=lambda page: (page.level, page.number)), []
        before: Leaf | bytes = b""
        for begin in range(0, len(waiting), _PAGES):
            some = waiting[begin : begin + _PAGES]
            new = _new(marks, [page.id for page in some])
            wanted = [page for page, is_new in zip(some, new, strict=True) if is_new]
            for page, found in _read(blobs, marks, wanted):
                if page_read is not None:
                    page_read(page.id, found)
                ids = _ids(found)
                places = _changed(ids, _ids(before))
                before = found
                if page.level:
                    pages += _children(page, ids, places)
                    continue
                chunk_ids += _words(ids).T[places].tobytes()
                if len(chunk_ids) >= _CHUNK_IDS * ID_LENGTH:
                    marks.mark(chunk_ids, BlobKind.CHUNK)
                    chunk_ids = bytearray()
    if chunk_ids:
        marks.mark(chunk_ids, BlobKind.CHUNK)


def _new(marks: Marks, ids: list[bytes]) -> list[bool]:
    return list(marks.mark(b"".join(ids), BlobKind.PAGE)) if ids else []


def _read(blobs: BlobStore, marks: Marks, pages: list[_Page]) -> Iterator[tuple[_Page, Leaf | bytes]]:
    """Pages with what is in them, in order."""
    batches = (pages[begin : begin + _BATCH] for begin in range(0, len(pages), _BATCH))
    with closing(
        ordered_map(lambda batch: [_opened(blobs, marks, page) for page in batch], batches, worker_count())
    ) as found:
        for number, batch in enumerate(found):
            yield from zip(pages[number * _BATCH :], batch, strict=False)


def _opened(blobs: BlobStore, marks: Marks, page: _Page) -> Leaf | bytes:
    """A leaf, or the ids in a page above; none of one that cannot be read."""
    try:
        stored = blobs.read(BlobKind.PAGE, page.id)
        if page.level:
            return decode_page(stored, page.level, page.shape.page_entries(page.level, page.number))
        return decode_leaf(stored, page.shape.page_blocks(0, page.number))
    except (VaultDataCorrupt, VaultFormatUnsupported) as error:
        marks.unreadable(page.id, error)
        return b""


def _ids(found: Leaf | bytes) -> bytes:
    return found.ids if isinstance(found, Leaf) else found


def _changed(ids: bytes, before: bytes) -> Rows:
    """The places of ids that are not zero and not the same as in another page; ascending.

    A change of a leaf may move the ids after it, so these are compared from the end as well.
    """
    now, then = _words(ids), _words(before)
    both = min(now.shape[1], then.shape[1])
    known = np.zeros(now.shape[1], bool)
    if both:
        known[:both] = (now[:, :both] == then[:, :both]).all(axis=0)
        known[-both:] |= (now[:, -both:] == then[:, -both:]).all(axis=0)
    return np.flatnonzero(~known & now.any(axis=0))


def _words(entries: bytes) -> U64:
    """A column of two numbers for each id."""
    return np.frombuffer(entries, np.uint64).reshape(-1, ID_LENGTH // 8).T


def _children(page: _Page, entries: bytes, places: Rows) -> Iterator[_Page]:
    for place in places.tolist():
        child = entries[place * ID_LENGTH : (place + 1) * ID_LENGTH]
        yield _Page(child, page.shape, page.level - 1, page.number * FANOUT + place)
