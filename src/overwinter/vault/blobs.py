"""The vault's blobs as readers see them: where each lies, and its verified content.

Everything that works on one open vault in this process shares one ``BlobStore``. Its index is what the index
objects said when it last looked; other processes write and delete meanwhile, so it looks again when a blob is
not where it was.
"""

import os
import threading
from collections.abc import Collection, Iterator
from contextlib import suppress
from functools import lru_cache

from overwinter.model.errors import VaultDataCorrupt, VaultError, VaultObjectMissing
from overwinter.vault.damage import DAMAGED, LOST, LostBlobs, get_damaged, get_lost
from overwinter.vault.index import Index, IndexTable, Location, Snapshot, read_table, write_table
from overwinter.vault.memory import give_back_freed_memory
from overwinter.vault.pack import BlobDecoder, Opened, Segment, decrypt, pack_id, pack_name
from overwinter.vault.seal import (
    HEADER_LENGTH,
    BlobKind,
    ObjectCipher,
    ObjectKind,
    Random,
    VaultKeys,
)
from overwinter.vault.storage import Buffer, Storage
from overwinter.vault.table import EMPTY, Table, merged, numbered

#: Ciphers of packs kept ready; a pack read again within this many others is not asked for its header.
_CIPHERS = 1024

#: Times to list the index anew because an object was replaced between the listing and the reading.
_LISTINGS = 10

#: After as many index objects were taken in (32 MiB as collections write them), memory is given back.
_MANY = 4

#: Records of index objects that are taken in together, at least (2 MiB), where there are as many.
_RECORDS = 64 * 1024

#: Segments kept ready (32 MiB at most): who reads on finds the next blob in the same one.
_SEGMENTS = 8


class BlobStore:
    """Blobs of one open vault; the methods may be called from several threads.

    ``leftovers`` are names of objects that could not be removed when their time had come; ``lost`` the
    blobs that are known to be lost, by the objects that say so.
    """

    def __init__(self, storage: Storage, keys: VaultKeys, random: Random = os.urandom) -> None:
        self.storage = storage
        self.keys = keys
        self.random = random
        self.index = Index()
        self.leftovers: list[str] = []
        self.lost: dict[str, LostBlobs] = {}
        self._changing = threading.Lock()
        self._refreshing = threading.Lock()
        self._taken_in: set[str] = set()
        self._taken_in_damage: set[str] = set()
        self._decoders = threading.local()
        self._cipher = lru_cache(_CIPHERS)(self._load_cipher)
        self._segment = lru_cache(_SEGMENTS)(self._load_segment)

    def refresh(self) -> None:
        """Take in what other processes have added to the index, and forget packs that are gone.

        Raises ``VaultDataCorrupt``.
        """
        with self._refreshing:
            self.take_in_damage()
            names = self._take_in_new()
            known = self.index.packs()
            # Listed after the index was read, and a pack is durable before a record names it.
            listed = {pack_id(stored.name) for stored in self.storage.list("packs/")}
            gone = {pack for pack in known if pack not in listed}
            if gone:
                self.forget(gone)
            self._taken_in &= names

    def take_in_damage(self) -> None:
        """Take in what is known to be damaged. Raises ``VaultDataCorrupt``."""
        damaged = {stored.name for stored in self.storage.list(DAMAGED)} - self._taken_in_damage
        for name in sorted(damaged):
            with suppress(VaultObjectMissing):  # removed with its pack
                pack, offsets = get_damaged(self, name)
                with self._changing:
                    self.index.distrust(pack, offsets)
            self._taken_in_damage.add(name)
        before = self.lost
        lost = {}
        for stored in self.storage.list(LOST):
            with suppress(VaultObjectMissing):  # found again
                lost[stored.name] = before.get(stored.name) or get_lost(self, stored.name)
        self.lost = lost

    @property
    def lost_chunks(self) -> Table:
        """The chunks that are known to be lost; some may have been stored anew since."""
        return merged([EMPTY, *(numbered(lost.chunks) for lost in self.lost.values())])

    def missing(self) -> Table:
        """Every blob that was damaged or lost and that the vault does not have now."""
        with self._changing:
            distrusted, _ = self.index.distrusted_keys()
        known = [distrusted, *(keys for lost in self.lost.values() for keys in (lost.chunks, lost.pages))]
        return merged([EMPTY, *(numbered(keys.take(~self.index.find_keys(keys).found)) for keys in known)])

    def _take_in_new(self) -> set[str]:
        """Take in the index objects that are new; gives the names of all."""
        for _ in range(_LISTINGS):
            names = {stored.name for stored in self.storage.list("index/")}
            new = sorted(names - self._taken_in)
            try:
                self._take_in(new)
            except VaultObjectMissing:
                continue  # replaced just now
            return names
        raise VaultDataCorrupt("The vault's storage lists index objects that it does not have.")

    def _take_in(self, names: list[str]) -> None:
        """Add index objects, many small ones at once: what the index does for each grows with its size."""
        tables = ((name, read_table(self.storage, self.keys, name)) for name in names)
        while some := list(_filling(tables)):
            with self._changing:
                self.index.add(*(table for _, table in some))
                self._taken_in.update(name for name, _ in some)
        if len(names) >= _MANY:
            give_back_freed_memory()

    def reload(self) -> None:
        """Forget everything and take it in anew. Raises ``VaultDataCorrupt``."""
        with self._refreshing, self._changing:
            self.index.clear()
            self.lost = {}
            self._taken_in.clear()
            self._taken_in_damage.clear()
        self.forget_content()
        self.refresh()

    def forget_content(self) -> None:
        """Forget what was read of packs, so that it is read anew."""
        self._cipher.cache_clear()
        self._segment.cache_clear()

    def forget(self, packs: Collection[bytes]) -> None:
        """Forget where packs have their blobs; the storage is not touched."""
        with self._changing:
            self.index.forget(set(packs))

    def locate(self, kind: BlobKind, blob_id: bytes) -> Location:
        """Where a blob lies. Raises ``VaultObjectMissing`` when the vault does not have it."""
        location = self.index.find(blob_id)
        if location is None:
            self.refresh()
            location = self.index.find(blob_id)  # even without news: another thread may have taken them in
        if location is None:
            raise VaultObjectMissing(f"A {kind.name.lower()} of the disk is missing in the vault's index.")
        return location

    def read(self, kind: BlobKind, blob_id: bytes) -> bytes:
        """A blob's verified content. Raises ``VaultDataCorrupt`` and ``VaultObjectMissing``."""
        try:
            return self._read(kind, blob_id)
        except VaultObjectMissing as missing:
            self.refresh()
            try:
                return self._read(kind, blob_id)
            except VaultObjectMissing:
                raise missing from None  # it names the object, the second one no longer knows it

    def _read(self, kind: BlobKind, blob_id: bytes) -> bytes:
        location = self.locate(kind, blob_id)
        content = self.segment(kind, location).blobs(location.number)
        self.check(kind, blob_id, location.pack, location.offset, content)
        return bytes(content)

    def segment(self, kind: BlobKind, location: Location) -> Segment:
        """The segment at a place, whose blobs are still to be `check`ed; recent ones are kept ready.

        Raises ``VaultDataCorrupt`` and ``VaultObjectMissing``.
        """
        return self._segment(kind, location.pack, location.offset, location.length)

    def open(self, kind: BlobKind, pack: bytes, offset: int, stored: Buffer) -> Segment:
        """A segment's content, whose blobs are still to be `check`ed. Raises ``VaultDataCorrupt``."""
        return self._decoder().decode(self._cipher(pack), kind, offset, stored)

    def open_any(self, pack: bytes, offset: int, stored: Buffer) -> tuple[Opened, Segment]:
        """A segment of any kind, as stored and its content; to be checked as with `open`."""
        cipher = self._cipher(pack)
        opened = decrypt(cipher, offset, stored)
        return opened, self._decoder().decompress(cipher, offset, opened)

    def prepare(self, pack: bytes) -> None:
        """Make ready what segments of a pack are opened with. Raises as `read` does."""
        self._cipher(pack)

    def check(self, kind: BlobKind, blob_id: bytes, pack: bytes, offset: int, content: Buffer) -> None:
        """Raise ``VaultDataCorrupt`` unless ``content``, found in the segment at ``offset``, is this blob."""
        if self.keys.identity(kind, content) != blob_id:
            place = self._cipher(pack).describe(offset)
            raise VaultDataCorrupt(f"{place} is not what the index says: a hash differs.")

    def publish(self, table: IndexTable) -> int:
        """Write an index object durably, then let every reader see its records; gives the bytes written."""
        written = write_table(self.storage, self.keys, self.random, table)
        with self._changing:
            self.index.add(table)
            self._taken_in.update(stored.name for stored in written)
        return sum(stored.size for stored in written)

    @property
    def index_objects(self) -> int:
        """How many objects the index was read from."""
        return len(self._taken_in)

    def snapshot(self) -> Snapshot:
        """The index as it is now."""
        with self._changing:
            return self.index.snapshot()

    def rewrite_index(self) -> None:
        """Write the whole index anew as few objects, then remove the objects it was read from."""
        with self._refreshing:
            with self._changing:
                old = set(self._taken_in)
            snapshot = self.snapshot()
            new: set[str] = set()
            for table in snapshot.segments():
                new.update(stored.name for stored in write_table(self.storage, self.keys, self.random, table))
            self.storage.delete(sorted(old))
            with self._changing:
                self._taken_in = (self._taken_in - old) | new

    def remove_leftovers(self) -> None:
        """Try again to remove what could not be removed."""
        names, self.leftovers = self.leftovers, []
        try:
            self.storage.delete(names)
        except VaultError:
            self.leftovers += names
            raise

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


def _filling(tables: Iterator[tuple[str, IndexTable]]) -> Iterator[tuple[str, IndexTable]]:
    """The next few tables, until they hold enough records."""
    records = 0
    for name, table in tables:
        yield name, table
        records += len(table)
        if records >= _RECORDS:
            return
