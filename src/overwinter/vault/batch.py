"""One batch of a backup: read, cut into chunks, hashed, and what the vault lacks stored as segments."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from overwinter.vault.chunking import BLOCK, Piece
from overwinter.vault.leaf import ZERO_ID, Part
from overwinter.vault.pack import SEGMENT_BLOBS, Blob, BlobEncoder
from overwinter.vault.packing import BlobWriter
from overwinter.vault.plan import Span
from overwinter.vault.seal import BlobKind, VaultKeys
from overwinter.vault.storage import Buffer

ReadDisk = Callable[[int, memoryview], None]
CheckCancelled = Callable[[], None]


class Cutter(Protocol):
    """What decides where chunks end."""

    @property
    def chunk_size(self) -> int:
        """Bytes that chunks have at least, save where data ends; a map's regions are a multiple."""

    def cut(self, first: int, data: memoryview) -> list[Piece]:
        """Chunks and zeros in whole blocks of data that begin at block ``first`` of the disk."""


@dataclass(frozen=True)
class _Chunk:
    """A chunk that was read, and where it lies in the worker's buffer."""

    id: bytes
    begin: int
    end: int


@dataclass(frozen=True)
class Stored:
    """What came of a batch: the new parts of the disk, and what it cost, as in ``SessionStats``."""

    parts: list[Part]
    bytes_read: int
    bytes_new: int
    chunks_new: int
    chunks_reused: int


class _Tools(threading.local):
    """What each worker thread keeps for itself."""

    def __init__(self) -> None:
        self.encoder = BlobEncoder()
        self._buffer = memoryview(b"")

    def buffer(self, length: int) -> memoryview:
        """A buffer of at least so many bytes, always the same while that is enough."""
        if len(self._buffer) < length:
            self._buffer = memoryview(bytearray(length))
        return self._buffer


class BatchStore:
    """Stores batches of one disk of ``size`` bytes; ``store`` is for many threads.

    ``step`` is how many bytes are read at a time, and how many of new chunks one segment holds.
    """

    def __init__(
        self,
        keys: VaultKeys,
        writer: BlobWriter,
        cutter: Cutter,
        read: ReadDisk,
        size: int,
        step: int,
        cancelled: CheckCancelled | None,
    ) -> None:
        self._keys = keys
        self._writer = writer
        self._cutter = cutter
        self._read = read
        self._size = size
        self._step = step
        self._cancelled = cancelled
        self._tools = _Tools()

    def store(self, batch: list[Span]) -> Stored:
        """Read, cut, hash, and store what is new; runs in a worker thread."""
        buffer = self._tools.buffer(sum(span.count for span in batch if not span.zero) * BLOCK)
        parts: list[Part] = []
        chunks: list[_Chunk] = []
        used = bytes_read = 0
        for span in batch:
            if span.zero:
                parts.append(Part(span.first, span.count, ZERO_ID))
                continue
            data = buffer[used : used + span.count * BLOCK]
            length = min(len(data), self._size - span.first * BLOCK)
            self._fill(span.first * BLOCK, data[:length])
            data[length:] = bytes(len(data) - length)
            first, end = span.first, used + length
            for piece in self._cutter.cut(span.first, data):
                chunk_id, stop = ZERO_ID, min(used + piece.count * BLOCK, end)
                if not piece.zero:
                    chunk_id = self._keys.identity(BlobKind.CHUNK, buffer[used:stop])
                    chunks.append(_Chunk(chunk_id, used, stop))
                parts.append(Part(first, piece.count, chunk_id))
                first, used = first + piece.count, stop
            bytes_read += length
        new = self._store_new(buffer, chunks)
        return Stored(
            parts=parts,
            bytes_read=bytes_read,
            bytes_new=sum(chunk.end - chunk.begin for chunk in new),
            chunks_new=len(new),
            chunks_reused=len(chunks) - len(new),
        )

    def _fill(self, offset: int, buffer: memoryview) -> None:
        for begin in range(0, len(buffer), self._step):
            if self._cancelled is not None:
                self._cancelled()
            self._read(offset + begin, buffer[begin : begin + self._step])

    def _store_new(self, buffer: memoryview, chunks: list[_Chunk]) -> list[_Chunk]:
        """Store those chunks that the vault lacks; gives them."""
        wanted = self._writer.claim([chunk.id for chunk in chunks])
        new = [chunk for chunk, want in zip(chunks, wanted, strict=True) if want]
        for segment in _segments(new, self._step):
            encoding, content = self._tools.encoder.encode(_joined(buffer, segment))
            blobs = [Blob(chunk.id, chunk.end - chunk.begin) for chunk in segment]
            self._writer.add(BlobKind.CHUNK, blobs, encoding, content)
        return new


def _segments(chunks: list[_Chunk], most: int) -> Iterator[list[_Chunk]]:
    """The chunks, in order, in groups of at most so many bytes that a segment can hold."""
    group: list[_Chunk] = []
    room = most
    for chunk in chunks:
        length = chunk.end - chunk.begin
        if group and (length > room or len(group) == SEGMENT_BLOBS):
            yield group
            group, room = [], most
        group.append(chunk)
        room -= length
    if group:
        yield group


def _joined(buffer: memoryview, chunks: list[_Chunk]) -> Buffer:
    """The chunks one after another; without a copy when that is how they lie in the buffer."""
    begin, end = chunks[0].begin, chunks[-1].end
    if end - begin == sum(chunk.end - chunk.begin for chunk in chunks):
        return buffer[begin:end]
    return b"".join(buffer[chunk.begin : chunk.end] for chunk in chunks)
