"""How a session's new blobs reach the storage: claimed, packed, written behind, indexed.

A pack is durable before an index object names it. Index objects follow every few packs, so that a session
that dies leaves little that its next run would store again.
"""

import queue
import threading
from collections import deque
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from functools import partial

from overwinter.vault.blobs import BlobStore
from overwinter.vault.index import IndexTable, record
from overwinter.vault.pack import PACK_ID_LENGTH, PACK_SIZE, Blob, Encoding, Entry, PackBuilder, pack_name
from overwinter.vault.seal import BlobKind, ObjectKind
from overwinter.vault.storage import Buffer

#: Packs in memory: one being filled, one being written.
_BUFFERS = 2

#: An index object is written after this many packs (128 MiB): what a session that dies may lose.
PACKS_PER_INDEX = 4


class BlobWriter:
    """Stores the new blobs of one session. Methods may be called from several threads.

    What lies in ``unreliable`` packs counts as not there: a collection is about to delete them.
    """

    def __init__(self, blobs: BlobStore, unreliable: Collection[bytes] = ()) -> None:
        self.bytes_stored = 0
        self._blobs = blobs
        self._unreliable = unreliable
        self._claiming = threading.Lock()
        self._claimed: set[bytes] = set()
        self._filling = threading.Lock()
        self._builder: PackBuilder | None = None
        self._buffers: queue.SimpleQueue[bytearray] = queue.SimpleQueue()
        for _ in range(_BUFFERS):
            self._buffers.put(bytearray())
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="vault-pack")
        self._writes: deque[Future[None]] = deque()
        self._unindexed: list[tuple[bytes, Entry]] = []
        self._unindexed_packs = 0

    def claim(self, ids: Sequence[bytes]) -> list[bool]:
        """For each blob: whether the caller must ``add`` it, because the vault does not have it yet."""
        wanted = []
        with self._claiming:
            for blob_id in ids:
                new = blob_id not in self._claimed and not self._is_stored(blob_id)
                if new:
                    self._claimed.add(blob_id)
                wanted.append(new)
        return wanted

    def _is_stored(self, blob_id: bytes) -> bool:
        location = self._blobs.index.find(blob_id)
        return location is not None and location.pack not in self._unreliable

    def add(self, kind: BlobKind, blobs: Sequence[Blob], encoding: Encoding, content: Buffer) -> None:
        """Store claimed blobs as one segment. Raises what writing an earlier pack raised."""
        with self._filling:
            if self._builder is None:
                self._builder = self._new_builder()
            self._builder.add(kind, blobs, encoding, content)
            if self._builder.is_full:
                self._close_pack()

    def finish(self) -> None:
        """Make everything added so far durable and indexed."""
        with self._filling:
            self._close_pack()
            self._write_behind(self._write_index)
            while self._writes:
                self._writes.popleft().result()

    def close(self) -> None:
        """Stop; what is not written yet is dropped."""
        self._executor.shutdown(cancel_futures=True)

    def _new_builder(self) -> PackBuilder:
        self._raise_failure()
        buffer = self._buffers.get()
        if not buffer:
            buffer.extend(bytes(PACK_SIZE))
        pack = self._blobs.random(PACK_ID_LENGTH)
        cipher = self._blobs.keys.new_cipher(ObjectKind.PACK, pack_name(pack), self._blobs.random)
        return PackBuilder(pack, cipher, buffer)

    def _close_pack(self) -> None:
        if self._builder is not None:
            self._write_behind(partial(self._write_pack, self._builder))
            self._builder = None

    def _write_behind(self, write: Callable[[], None]) -> None:
        """Let the writing thread call ``write``, with what the present work may use of the reserve."""
        self._writes.append(self._executor.submit(copy_context().run, write))

    def _raise_failure(self) -> None:
        while self._writes and self._writes[0].done():
            self._writes.popleft().result()

    def _write_pack(self, builder: PackBuilder) -> None:
        try:
            parts = builder.finish()
            self._blobs.storage.put(pack_name(builder.pack), parts)
            self.bytes_stored += sum(map(len, parts))
        finally:
            self._buffers.put(builder.buffer)
        self._unindexed.extend((builder.pack, entry) for entry in builder.entries)
        self._unindexed_packs += 1
        if self._unindexed_packs >= PACKS_PER_INDEX:
            self._write_index()

    def _write_index(self) -> None:
        if not self._unindexed:
            return
        table = IndexTable.of(record(pack, entry) for pack, entry in self._unindexed)
        self.bytes_stored += self._blobs.publish(table)
        with self._claiming:
            self._claimed.difference_update(entry.id for _, entry in self._unindexed)
        self._unindexed.clear()
        self._unindexed_packs = 0
