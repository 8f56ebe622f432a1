"""Packs: files of many blobs that describe themselves.

A pack is a header, segments one after another, a sealed directory of their blobs, and the directory's place.
A segment is a plain frame (length, number of blobs, kind, encoding) and the sealed content: the blobs'
lengths, then blobs that arrived together, compressed as one, because chunks compressed one by one take 8 %
more. The index is rebuilt from the directories; were a directory lost, frames and contents would still give
everything.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import accumulate

import zstandard

from overwinter.model.errors import VaultDataCorrupt
from overwinter.vault.seal import (
    HEADER_LENGTH,
    ID_LENGTH,
    TAG_LENGTH,
    BlobKind,
    ObjectCipher,
)
from overwinter.vault.storage import Buffer
from overwinter.vault.zstd import decompress

#: A pack is closed when it holds this many bytes: large enough for few objects, small enough for memory.
PACK_SIZE = 32 * 1024 * 1024

PACK_ID_LENGTH = 8

#: A segment holds at most so many blobs, and so many bytes of them (one blob may be as large).
SEGMENT_BLOBS = 256
SEGMENT_SIZE = 4 * 1024 * 1024

_FRAME = struct.Struct(">IIBBxx")
_ENTRY = struct.Struct(f">{ID_LENGTH}sII")
_TRAILER = struct.Struct(">I")
_LENGTH = struct.Struct(">I")

#: An entry's last word is length * 256 + number.
NUMBER_BITS = 8

#: zstd's level 1 with a window over the whole segment, and a hash table that stays in the processor's cache.
_COMPRESSION = zstandard.ZstdCompressionParameters(
    window_log=22,
    hash_log=14,
    chain_log=13,
    search_log=1,
    min_match=6,
    target_length=0,
    strategy=zstandard.STRATEGY_FAST,
    write_checksum=False,
)


class Encoding(IntEnum):
    """How a blob's content is stored."""

    PLAIN = 0
    ZSTD = 1


@dataclass(frozen=True)
class Entry:
    """Where a blob lies within its pack.

    ``offset`` and ``length`` in bytes are those of its segment's frame and of the segment with frame and tag;
    ``number`` counts the blobs of the segment from 0.
    """

    id: bytes
    offset: int
    length: int
    number: int

    @property
    def extent(self) -> int:
        """``length`` and ``number`` in one 32-bit word, as directories and the index keep them."""
        return self.length << NUMBER_BITS | self.number

    @classmethod
    def of(cls, blob_id: bytes, offset: int, extent: int) -> "Entry":
        """The reverse of ``extent``."""
        return cls(blob_id, offset, *split_extent(extent))


@dataclass(frozen=True)
class Blob:
    """A blob that is to be stored: its id, and its length in bytes."""

    id: bytes
    length: int


def split_extent(extent: int) -> tuple[int, int]:
    """Length of a segment and number of a blob in it, from their common word."""
    return extent >> NUMBER_BITS, extent & (1 << NUMBER_BITS) - 1


@dataclass(frozen=True)
class Segment:
    """A segment's plain content: blobs one after another. ``ends`` are where each ends, after a first 0."""

    content: Buffer
    ends: Sequence[int]

    def blobs(self, first: int, count: int = 1) -> memoryview:
        """``count`` blobs from number ``first`` as one piece; empty when it has no such blobs."""
        if first + count >= len(self.ends):
            return memoryview(b"")
        return memoryview(self.content)[self.ends[first] : self.ends[first + count]]

    def each_blob(self) -> Iterator[memoryview]:
        """Its blobs in order."""
        for number in range(len(self.ends) - 1):
            yield self.blobs(number)


def is_small(size: int) -> bool:
    """Whether a pack of ``size`` bytes is far from full."""
    return size < PACK_SIZE // 4


def pack_name(pack: bytes) -> str:
    """Object name of a pack, from its 8-byte id."""
    return f"packs/{pack[:1].hex()}/{pack.hex()}"


def pack_id(name: str) -> bytes | None:
    """The id within a pack's object name, or null when it is no such name."""
    try:
        pack = bytes.fromhex(name.rsplit("/", 1)[-1])
    except ValueError:
        return None
    return pack if len(pack) == PACK_ID_LENGTH and pack_name(pack) == name else None


class BlobEncoder:
    """Compresses segments. One per thread."""

    def __init__(self) -> None:
        self._compressor = zstandard.ZstdCompressor(compression_params=_COMPRESSION)

    def encode(self, plain: Buffer) -> tuple[Encoding, Buffer]:
        """The content to store: compressed, or plain when compression saves less than 1/32."""
        compressed = self._compressor.compress(plain)
        if len(compressed) > len(plain) - len(plain) // 32:
            return Encoding.PLAIN, plain
        return Encoding.ZSTD, compressed


class PackBuilder:
    """One pack being filled in a buffer of the caller; not for several threads at once."""

    def __init__(self, pack: bytes, cipher: ObjectCipher, buffer: bytearray) -> None:
        self.pack = pack
        self.buffer = buffer
        self.entries: list[Entry] = []
        self._cipher = cipher
        self._used = HEADER_LENGTH
        buffer[:HEADER_LENGTH] = cipher.header

    @property
    def is_full(self) -> bool:
        """Whether the pack has reached its size and should be written."""
        return self._used >= PACK_SIZE

    def add(self, kind: BlobKind, blobs: Sequence[Blob], encoding: Encoding, content: Buffer) -> None:
        """Encrypt and append one segment: so many blobs, and their content as a `BlobEncoder` gives it."""
        sealed = self._seal(kind, [blob.length for blob in blobs], encoding, content)
        end = self._used + len(sealed)
        self.buffer[self._used : end] = sealed
        self.entries += [Entry(blob.id, self._used, len(sealed), number) for number, blob in enumerate(blobs)]
        self._used = end

    def finish(self) -> list[Buffer]:
        """The whole pack as parts to be written in this order."""
        directory = b"".join(_ENTRY.pack(entry.id, entry.offset, entry.extent) for entry in self.entries)
        sealed = self._seal(BlobKind.DIRECTORY, [len(directory)], Encoding.PLAIN, directory)
        return [memoryview(self.buffer)[: self._used], sealed, _TRAILER.pack(self._used)]

    def _seal(self, kind: BlobKind, lengths: Sequence[int], encoding: Encoding, content: Buffer) -> bytes:
        if len(lengths) > 1:  # of a single blob all is the content
            content = b"".join((*map(_LENGTH.pack, lengths), content))
        frame = _FRAME.pack(len(content) + TAG_LENGTH, len(lengths), kind, encoding)
        return frame + self._cipher.seal(self._used, frame, content)


@dataclass(frozen=True)
class Opened:
    """A segment that is decrypted, but not decompressed. ``lengths`` of its blobs: none of a single one."""

    kind: BlobKind
    lengths: tuple[int, ...]
    encoding: Encoding
    content: memoryview


class BlobDecoder:
    """Opens segments: decrypts and decompresses. One per thread."""

    def __init__(self) -> None:
        self._decompressor = zstandard.ZstdDecompressor()

    def decode(self, cipher: ObjectCipher, kind: BlobKind, place: int, stored: Buffer) -> Segment:
        """The plain content of a segment of one kind that begins at ``place`` of its pack.

        Raises ``VaultDataCorrupt``. The caller still compares each blob with its id.
        """
        opened = decrypt(cipher, place, stored)
        if opened.kind != kind:
            raise VaultDataCorrupt(f"{cipher.describe(place)} is damaged: it is no {kind.name.lower()}.")
        return self.decompress(cipher, place, opened)

    def decompress(self, cipher: ObjectCipher, place: int, opened: Opened) -> Segment:
        """The plain content of an opened segment. Raises ``VaultDataCorrupt``."""
        content: Buffer = opened.content
        if opened.encoding == Encoding.ZSTD:
            try:
                content = decompress(self._decompressor, opened.content, SEGMENT_SIZE)
            except zstandard.ZstdError as error:
                raise VaultDataCorrupt(f"{cipher.describe(place)} cannot be decompressed: {error}") from error
        ends = (0, *accumulate(opened.lengths or (len(content),)))
        if ends[-1] != len(content):
            raise VaultDataCorrupt(f"{cipher.describe(place)} is damaged: its blobs do not make it up.")
        return Segment(content, ends)


def decrypt(cipher: ObjectCipher, place: int, stored: Buffer) -> Opened:
    """Open a segment that begins at ``place`` of its pack. Raises ``VaultDataCorrupt``."""
    if len(stored) < _FRAME.size + TAG_LENGTH:
        raise VaultDataCorrupt(f"{cipher.describe(place)} is too short.")
    frame = bytes(stored[: _FRAME.size])
    length, blobs, kind, encoding = _FRAME.unpack(frame)
    if length != len(stored) - _FRAME.size:
        raise VaultDataCorrupt(f"{cipher.describe(place)} is damaged: its frame is wrong.")
    content = memoryview(cipher.open(place, frame, stored[_FRAME.size :]))
    table = _LENGTH.size * blobs if blobs > 1 else 0
    if not 0 < blobs <= SEGMENT_BLOBS or len(content) < table:
        raise VaultDataCorrupt(f"{cipher.describe(place)} is damaged: it cannot hold {blobs} blobs.")
    lengths = tuple(length for (length,) in _LENGTH.iter_unpack(content[:table]))
    try:
        return Opened(BlobKind(kind), lengths, Encoding(encoding), content[table:])
    except ValueError as error:
        raise VaultDataCorrupt(f"{cipher.describe(place)} is of a kind nobody knows: {error}") from error


def frame_length(stored: Buffer) -> int:
    """The length of the segment that begins with this frame, with frame and tag."""
    return _FRAME.size + int(_FRAME.unpack_from(stored)[0])


def trailer_range(size: int) -> tuple[int, int]:
    """Offset and length of the trailer of a pack of ``size`` bytes."""
    return size - _TRAILER.size, _TRAILER.size


def directory_range(trailer: bytes, size: int) -> tuple[int, int]:
    """Offset and length of the directory that a trailer points to."""
    (offset,) = _TRAILER.unpack(trailer)
    return offset, size - _TRAILER.size - offset


def parse_directory(name: str, content: Buffer) -> list[Entry]:
    """The entries that the decoded directory of the pack ``name`` lists. Raises ``VaultDataCorrupt``."""
    if len(content) % _ENTRY.size:
        raise VaultDataCorrupt(f"Vault object {name} is damaged: its directory holds no whole entries.")
    return [Entry.of(*fields) for fields in _ENTRY.iter_unpack(content)]
