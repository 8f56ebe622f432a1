"""Copying what is live out of wasteful packs into new ones, and choosing which packs are worth it.

A crash in the midst leaves new packs that hold copies; the next collection finds them and goes on from there.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from math import inf

from overwinter.model.errors import VaultDataCorrupt
from overwinter.vault.blobs import BlobStore
from overwinter.vault.liveness import LiveBlob, PackUse
from overwinter.vault.pack import Blob, BlobEncoder, is_small, pack_name
from overwinter.vault.packing import BlobWriter

#: Packs are copied until not more than this part of what stays is waste.
_MOST_WASTE = 0.05

#: What of the room copies may take; the rest is for their directories and the index.
_COPY_SHARE = 0.9

#: Small packs, left by small increments, are joined when there are so many of them.
_MANY_SMALL = 8


@dataclass(frozen=True)
class Choice:
    """Packs with nothing live in them, and packs whose live blobs are to be copied.

    ``short_of_room``: more were to be copied if there were room for it.
    """

    dead: frozenset[bytes]
    wasteful: frozenset[bytes]
    short_of_room: bool


def choose(sizes: Mapping[bytes, int], uses: Mapping[bytes, PackUse], room: int | None = None) -> Choice:
    """What to do with the packs of a vault, from their sizes in bytes and the use that is made of them.

    ``room`` bounds the bytes that copies may take before anything is removed; null: no bound.
    """
    dead = {pack for pack in sizes if pack not in uses or not uses[pack].live}
    used = [pack for pack in sizes if pack not in dead]
    waste = {pack: sizes[pack] * (1 - uses[pack].live / uses[pack].total) for pack in used}
    left = sum(waste.values())
    allowed = _MOST_WASTE * sum(sizes[pack] for pack in used)
    wanted = []
    for pack in sorted(used, key=lambda pack: (-waste[pack] / sizes[pack], pack)):
        if left <= allowed:
            break
        left -= waste[pack]
        wanted.append(pack)
    small = [pack for pack in used if is_small(sizes[pack])]
    if len(small) >= _MANY_SMALL:
        wanted += sorted(set(small) - set(wanted))
    wasteful = set()
    free = inf if room is None else room * _COPY_SHARE
    for pack in wanted:
        if sizes[pack] - waste[pack] <= free:
            free -= sizes[pack] - waste[pack]
            wasteful.add(pack)
    return Choice(frozenset(dead), frozenset(wasteful), len(wasteful) < len(wanted))


def copy_live(
    blobs: BlobStore,
    writer: BlobWriter,
    packs: Iterable[tuple[bytes, list[LiveBlob]]],
    copied: Callable[[int], None],
) -> None:
    """Store the live blobs of packs anew; ``copied`` is told the bytes read of each pack.

    Raises ``VaultDataCorrupt`` when one is damaged.
    """
    encoder = BlobEncoder()
    for pack, live in packs:
        stored = memoryview(blobs.storage.get(pack_name(pack)))
        for (offset, length), group in groupby(live, key=lambda blob: (blob.offset, blob.length)):
            _copy_segment(blobs, writer, encoder, pack, offset, stored[offset : offset + length], list(group))
        copied(len(stored))


def _copy_segment(
    blobs: BlobStore,
    writer: BlobWriter,
    encoder: BlobEncoder,
    pack: bytes,
    offset: int,
    stored: memoryview,
    live: list[LiveBlob],
) -> None:
    opened, segment = blobs.open_any(pack, offset, stored)
    contents = [segment.blobs(blob.number) for blob in live]
    copied = [Blob(blobs.keys.identity(opened.kind, content), len(content)) for content in contents]
    for found, blob in zip(copied, live, strict=True):
        if found.id != blob.id:
            place = f"Vault object {pack_name(pack)} at byte {offset}"
            raise VaultDataCorrupt(f"{place} is not what the index says: a hash differs.")
    if sum(map(len, contents)) == len(segment.content):
        writer.add(opened.kind, copied, opened.encoding, opened.content)
    else:
        encoding, content = encoder.encode(b"".join(contents))
        writer.add(opened.kind, copied, encoding, content)
