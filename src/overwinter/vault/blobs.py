"""The vault's blobs as readers see them: where each lies, its verified content, and what must not be removed.

Everything that works on one open vault in this process shares one ``BlobStore``.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from overwinter.model.errors import VaultDataCorrupt, VaultObjectMissing
from overwinter.vault.diskmap import DiskMap
from overwinter.vault.index import Index, IndexTable, Location, write_table
from overwinter.vault.pack import BlobDecoder, Segment, pack_name
from overwinter.vault.seal import (
    HEADER_LENGTH,
    BlobKind,
    ObjectCipher,
    ObjectKind,
    Random,
    VaultKeys,
)
from overwinter.vault.storage import Buffer, Storage

#: Ciphers of packs kept ready; a pack read again within this many others is not asked for its header.
_CIPHERS = 1024

#: Segments kept ready (32 MiB at most): who reads on finds the next blob in the same one.
_SEGMENTS = 8


class Pins:
    """What one open session relies on: packs it wrote or reuses, and maps it builds upon."""

    def __init__(self) -> None:
        self.packs: set[bytes] = set()
        self.maps: set[DiskMap] = set()


class BlobStore:
    """Blobs of one open vault.

    ``lock`` guards the index's changes and the pins; ``publishing`` is held while an index object is written
    and taken in, so that collection never sees one without the other.
    """

    def __init__(self, storage: Storage, keys: VaultKeys, random: Random = os.urandom) -> None:
        self.storage = storage
        self.keys = keys
        self.random = random
        self.index = Index()
        self.lock = threading.Lock()
        self.publishing = threading.Lock()
        self._pins: list[Pins] = []
        self._collecting = False
        self._ended: list[Pins] = []
        self._decoders = threading.local()
        self._cipher = lru_cache(_CIPHERS)(self._load_cipher)
        self._segment = lru_cache(_SEGMENTS)(self._load_segment)

    def locate(self, kind: BlobKind, blob_id: bytes) -> Location:
        """Where a blob lies. Raises ``VaultObjectMissing`` when the index does not know it."""
        location = self.index.find(blob_id)
        if location is None:
            raise VaultObjectMissing(f"A {kind.name.lower()} of the disk is missing in the vault's index.")
        return location

    def read(self, kind: BlobKind, blob_id: bytes) -> bytes:
        """A blob's verified content. Raises ``VaultDataCorrupt`` and ``VaultObjectMissing``."""
        location = self.locate(kind, blob_id)
        segment = self._segment(kind, location.pack, location.offset, location.length)
        content = segment.blobs(location.number)
        self.check(kind, blob_id, location.pack, location.offset, content)
        return bytes(content)

    def open(self, kind: BlobKind, pack: bytes, offset: int, stored: Buffer) -> Segment:
        """A segment's content, whose blobs are still to be `check`ed. Raises ``VaultDataCorrupt``."""
        return self._decoder().decode(self._cipher(pack), kind, offset, stored)

    def check(self, kind: BlobKind, blob_id: bytes, pack: bytes, offset: int, content: Buffer) -> None:
        """Raise ``VaultDataCorrupt`` unless ``content``, found in the segment at ``offset``, is this blob."""
        if self.keys.identity(kind, content) != blob_id:
            place = self._cipher(pack).describe(offset)
            raise VaultDataCorrupt(f"{place} is not what the index says: a hash differs.")

    def publish(self, table: IndexTable) -> int:
        """Write an index object durably, then let every reader see its records; gives the bytes written."""
        with self.publishing:
            written = self.write_index(table)
            with self.lock:
                self.index.add(table)
        return written

    def write_index(self, table: IndexTable) -> int:
        """Write index objects durably; gives the bytes written. Ask with ``publishing`` held."""
        return write_table(self.storage, self.keys, self.random, table)

    @contextmanager
    def pinned(self) -> Iterator[Pins]:
        """Pins for the length of a session, or of a collection that began meanwhile."""
        pins = Pins()
        with self.lock:
            self._pins.append(pins)
        try:
            yield pins
        finally:
            with self.lock:
                self._pins.remove(pins)
                if self._collecting:
                    self._ended.append(pins)

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """While this holds, pins outlive their sessions. Only one thread may hold it."""
        with self.lock:
            self._collecting = True
        try:
            yield
        finally:
            with self.lock:
                self._collecting = False
                self._ended.clear()

    def pinned_packs(self) -> set[bytes]:
        """Packs that sessions rely on; ask with ``lock`` held."""
        return {pack for pins in (*self._pins, *self._ended) for pack in pins.packs}

    def pinned_maps(self) -> set[DiskMap]:
        """Maps that sessions rely on; ask with ``lock`` held."""
        return {disk for pins in (*self._pins, *self._ended) for disk in pins.maps}

    def _load_cipher(self, pack: bytes) -> ObjectCipher:
        name = pack_name(pack)
        return self.keys.cipher(ObjectKind.PACK, name, self.storage.get_range(name, 0, HEADER_LENGTH))

    def _load_segment(self, kind: BlobKind, pack: bytes, offset: int, length: int) -> Segment:
        return self.open(kind, pack, offset, self.storage.get_range(pack_name(pack), offset, length))

    def _decoder(self) -> BlobDecoder:
        decoder: BlobDecoder | None = getattr(self._decoders, "decoder", None)
        if decoder is None:
            decoder = self._decoders.decoder = BlobDecoder()
        return decoder
