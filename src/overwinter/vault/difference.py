"""Where two maps of one vault differ: what an increment from one to the other carries.

Equal pages have equal ids, so only pages on the paths to changed chunks are read: the cost is that of the
change, not of the disk.
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from overwinter.model.extent import Extent, joined
from overwinter.vault.blobs import BlobStore
from overwinter.vault.chunking import BLOCK
from overwinter.vault.diskmap import FANOUT, DiskMap, Shape, decode_page, decode_root
from overwinter.vault.leaf import ZERO_ID, Leaf, decode_leaf, zeros
from overwinter.vault.plan import Span
from overwinter.vault.seal import ID_LENGTH, BlobKind
from overwinter.vault.table import U64


def changes(blobs: BlobStore, disk: DiskMap, since: DiskMap | None) -> Iterator[Extent]:
    """See ``VaultStore.changes``."""
    if since is not None and (since.size, since.chunk_size) != (disk.size, disk.chunk_size):
        raise ValueError(f"disks of {since.size} and {disk.size} bytes cannot be compared")
    shape = Shape(disk.size, disk.chunk_size)
    before = ZERO_ID if since is None else _tree(blobs, since)
    differing = _differing(blobs, shape, shape.top, 0, before, _tree(blobs, disk))
    return joined(_extent(disk, changed) for changed in differing)


def _extent(disk: DiskMap, changed: Span) -> Extent:
    offset = changed.first * BLOCK
    return Extent(offset, min(changed.count * BLOCK, disk.size - offset), changed.zero)


def _tree(blobs: BlobStore, disk: DiskMap) -> bytes:
    return decode_root(blobs.read(BlobKind.PAGE, disk.root), disk.size, disk.chunk_size)


def _differing(
    blobs: BlobStore, shape: Shape, level: int, page: int, before: bytes, after: bytes
) -> Iterator[Span]:
    """What below one page differs, in order."""
    if before == after:
        return
    if level == 0:
        old, new = (_leaf(blobs, shape, page, page_id) for page_id in (before, after))
        yield from _differing_blocks(shape.first(0, page), old, new)
        return
    older, newer = (_entries(blobs, shape, level, page, page_id) for page_id in (before, after))
    for number in range(len(newer) // ID_LENGTH):
        here = slice(number * ID_LENGTH, (number + 1) * ID_LENGTH)
        yield from _differing(blobs, shape, level - 1, page * FANOUT + number, older[here], newer[here])


def _entries(blobs: BlobStore, shape: Shape, level: int, page: int, page_id: bytes) -> bytes:
    count = shape.page_entries(level, page)
    if page_id == ZERO_ID:
        return bytes(count * ID_LENGTH)
    return decode_page(blobs.read(BlobKind.PAGE, page_id), level, count)


def _leaf(blobs: BlobStore, shape: Shape, page: int, page_id: bytes) -> Leaf:
    blocks = shape.page_blocks(0, page)
    if page_id == ZERO_ID:
        return zeros(blocks)
    return decode_leaf(blobs.read(BlobKind.PAGE, page_id), blocks)


def _differing_blocks(first: int, before: Leaf, after: Leaf) -> Iterator[Span]:
    """Where two leaves differ: other chunks, or the same ones elsewhere. Whole chunks of both, or zeros."""
    old, new = _by_block(before), _by_block(after)
    changed, data = (old != new).any(axis=1), new.any(axis=1)
    kinds = changed.astype(np.int8) * (1 + data)  # 0 the same, 1 zeros now, 2 data now
    cuts = [0, *(np.flatnonzero(np.diff(kinds)) + 1).tolist(), len(kinds)]
    for begin, end in pairwise(cuts):
        if kinds[begin]:
            yield Span(first + begin, end - begin, zero=bool(kinds[begin] == 1))


def _by_block(leaf: Leaf) -> U64:
    """For each block of a region the id of its chunk, as numbers, and where that begins; zeros for zeros."""
    ids = np.frombuffer(leaf.ids, np.uint64).reshape(-1, ID_LENGTH // 8)
    begins = leaf.counts.cumsum() - leaf.counts
    rows = np.column_stack([ids, np.where(ids.any(axis=1), begins, 0).astype(np.uint64)])
    result: U64 = np.repeat(rows, leaf.counts, axis=0)
    return result
