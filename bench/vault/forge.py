"""Vaults that say they are huge and are not: real index, pages, maps and manifests, but chunks only by name.

A pack's chunk segments are a hole in a sparse file. So nothing can restore from such a vault, and nothing has
to: sessions and collections never read chunks, except of packs that are copied, and none of these is.
Every chunk is as if it did not compress, so there are as many packs as there can be.
"""

import os
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.point import manifest_of
from bench.tools.overwinter import Vault
from overwinter.vault import DiskMap, KeySource
from overwinter.vault.chunking import BLOCK
from overwinter.vault.diskmap import MapWriter, Shape, encode_root
from overwinter.vault.index import index_name
from overwinter.vault.leaf import Part
from overwinter.vault.manifest import manifest_object, seal_manifest
from overwinter.vault.pack import PACK_ID_LENGTH, BlobEncoder, pack_name
from overwinter.vault.seal import HEADER_LENGTH, ID_LENGTH, TAG_LENGTH, BlobKind, ObjectKind, seal_object
from overwinter.vault.storage import open_storage
from overwinter.vault.store import unlocked

#: Segments of 4 MiB of data in a pack of 32 MiB, chunks of mean size in each (176 KiB; disks of forged maps
#: have shorter ones), and what each takes with its table of lengths, frame and tag.
_CHUNKS_PER_SEGMENT = 23
_SEGMENTS_PER_PACK = 8
_FRAME = struct.Struct(">IIBBxx")
_SEGMENT = 4 * 1024 * 1024 + 4 * _CHUNKS_PER_SEGMENT + _FRAME.size + TAG_LENGTH
CHUNKS_PER_PACK = _CHUNKS_PER_SEGMENT * _SEGMENTS_PER_PACK

#: docs/vault-format.md, "index".
_RECORD = np.dtype([("id", ">u8"), ("id_2", ">u8"), ("pack", ">u8"), ("offset", ">u4"), ("extent", ">u4")])

#: Records in one index object as a collection writes it.
RECORDS_PER_OBJECT = 256 * 1024

Records = NDArray[np.void]


@dataclass(frozen=True)
class Page:
    """A page of a map, or a root."""

    id: bytes
    content: bytes


class Forge:
    """Writes into an empty vault of the benchmark, without fsync where the store has it."""

    def __init__(self, vault: Vault) -> None:
        url = vault.path.as_uri()
        self.blobs, self.chunk_size = unlocked(
            open_storage(url), url, KeySource.from_key_file(vault.key), os.urandom
        )
        self._root = vault.path
        self._encoder = BlobEncoder()

    def packs(self, ids: bytes, pages: list[Page]) -> Records:
        """Make packs of the chunks of these ids, full ones only, and the pages; gives their records."""
        chunks = len(ids) // ID_LENGTH
        if chunks % CHUNKS_PER_PACK:
            raise ValueError(f"{chunks} chunks do not fill packs of {CHUNKS_PER_PACK}")
        count = max(1, chunks // CHUNKS_PER_PACK)
        names = [os.urandom(PACK_ID_LENGTH) for _ in range(count)]
        records = [_chunk_records(ids, names)] if chunks else []
        hole = _SEGMENT * _SEGMENTS_PER_PACK if chunks else 0
        for number, pack in enumerate(names):
            held = pages[number * len(pages) // count : (number + 1) * len(pages) // count]
            records.append(self._pack(pack, hole, held))
        return np.concatenate(records)

    def index(self, records: Records, per_object: int = RECORDS_PER_OBJECT) -> None:
        """Write index objects of so many records each."""
        for begin in range(0, len(records), per_object):
            # numpy joins records in the machine's own order of bytes.
            some = records[begin : begin + per_object].astype(_RECORD)
            in_order = some[np.lexsort((some["id_2"], some["id"]))].tobytes()
            name = index_name(os.urandom)
            cipher = self.blobs.keys.new_cipher(ObjectKind.INDEX, name, os.urandom)
            self._write(name, seal_object(cipher, in_order))

    def point(self, point: str, disk: DiskMap) -> None:
        """Commit a recovery point of one disk."""
        manifest = manifest_of(point, disk)
        name = manifest_object(self.blobs.keys, point, 0)
        self._write(name, seal_manifest(self.blobs.keys, os.urandom, name, manifest))

    def _pack(self, pack: bytes, hole: int, pages: list[Page]) -> Records:
        name = pack_name(pack)
        cipher = self.blobs.keys.new_cipher(ObjectKind.PACK, name, os.urandom)
        records = np.zeros(len(pages), _RECORD)
        place = HEADER_LENGTH + hole
        segments = []
        for number, page in enumerate(pages):
            encoding, content = self._encoder.encode(page.content)
            frame = _FRAME.pack(len(content) + TAG_LENGTH, 1, BlobKind.PAGE, encoding)
            segment = frame + cipher.seal(place, frame, content)
            records[number] = (
                _number(page.id[:8]),
                _number(page.id[8:16]),
                _number(pack),
                place,
                len(segment) << 8,
            )
            segments.append(segment)
            place += len(segment)
        path = self._root / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with path.open("xb") as file:
            file.write(cipher.header)
            file.seek(hole, os.SEEK_CUR)
            file.writelines(segments)
            file.truncate(place)
        return records

    def _write(self, name: str, content: bytes) -> None:
        path = self._root / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.write_bytes(content)


class ForgedDisk:
    """The map of one disk from point to point, made by the real code from ids of chunks that are nowhere."""

    def __init__(self, forge: Forge, size: int) -> None:
        self.size = size
        self._forge = forge
        self._tree = bytes(ID_LENGTH)
        self._pages: dict[bytes, bytes] = {}

    def change(self, parts: Iterable[Part]) -> tuple[DiskMap, list[Page]]:
        """Put parts of the disk, ascending; gives the new map and its new pages."""
        new: list[Page] = []

        def store(content: bytes) -> bytes:
            page = Page(self._forge.blobs.keys.identity(BlobKind.PAGE, content), content)
            new.append(page)
            return page.id

        chunk_size = self._forge.chunk_size
        writer = MapWriter(Shape(self.size, chunk_size), self._tree, self._take, store)
        writer.put(parts)
        self._tree = writer.finish()
        self._pages.update((page.id, page.content) for page in new)
        root = store(encode_root(self.size, chunk_size, self._tree))
        return DiskMap(self.size, root, chunk_size), new

    def _take(self, page: bytes) -> bytes:
        """A page of the map so far, which is being replaced: the disk's next map does not have it."""
        return self._pages.pop(page)


def even_parts(ids: bytes, first: int, chunk_size: int) -> Iterator[Part]:
    """Chunks of these ids, all of mean size, from chunk number ``first``."""
    count = chunk_size // BLOCK
    for number in range(len(ids) // ID_LENGTH):
        here = ids[number * ID_LENGTH : (number + 1) * ID_LENGTH]
        yield Part((first + number) * count, count, here)


def _chunk_records(ids: bytes, packs: list[bytes]) -> Records:
    chunks = len(ids) // ID_LENGTH
    number = np.arange(chunks, dtype=np.uint32)
    records = np.zeros(chunks, _RECORD)
    halves = np.frombuffer(ids, ">u8").reshape(chunks, 2)
    records["id"], records["id_2"] = halves[:, 0], halves[:, 1]
    records["pack"] = np.frombuffer(b"".join(packs), ">u8")[number // CHUNKS_PER_PACK]
    segment = number // _CHUNKS_PER_SEGMENT % _SEGMENTS_PER_PACK
    records["offset"] = HEADER_LENGTH + segment * _SEGMENT
    records["extent"] = (_SEGMENT << 8) + number % _CHUNKS_PER_SEGMENT
    return records


def _number(eight_bytes: bytes) -> int:
    return int.from_bytes(eight_bytes, "big")
