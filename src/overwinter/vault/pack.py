"""Packs: files of many blobs that describe themselves.

A pack is a header, entries one after another, a sealed directory of the entries, and the directory's place.
An entry is a plain frame (length, kind, encoding) and the sealed content. The index is rebuilt from the
directories; were a directory lost, frames and contents would still give everything.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum

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

#: No compressed blob has more content: it is the largest chunk a vault may have.
_MOST_CONTENT = 4 * 1024 * 1024

_FRAME = struct.Struct(">IBBxx")
_ENTRY = struct.Struct(f">{ID_LENGTH}sII")
_TRAILER = struct.Struct(">I")


class Encoding(IntEnum):
    """How a blob's content is stored."""

    PLAIN = 0
    ZSTD = 1


@dataclass(frozen=True)
class Entry:
    """Where a blob lies within its pack: byte offset of its frame and length with frame and tag."""

    id: bytes
    offset: int
    length: int


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


def compress(compressor: zstandard.ZstdCompressor, plain: Buffer) -> tuple[Encoding, bytes]:
    """The content to store: compressed, or plain when compression saves less than 1/32."""
    compressed = compressor.compress(plain)
    if len(compressed) > len(plain) - len(plain) // 32:
        return Encoding.PLAIN, bytes(plain)
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

    def add(self, kind: BlobKind, blob_id: bytes, encoding: Encoding, content: bytes) -> None:
        """Encrypt and append one blob."""
        entry = Entry(blob_id, self._used, _FRAME.size + len(content) + TAG_LENGTH)
        self.buffer[self._used : self._used + entry.length] = self._seal(kind, encoding, content)
        self._used += entry.length
        self.entries.append(entry)

    def finish(self) -> list[Buffer]:
        """The whole pack as parts to be written in this order."""
        directory = b"".join(_ENTRY.pack(entry.id, entry.offset, entry.length) for entry in self.entries)
        sealed = self._seal(BlobKind.DIRECTORY, Encoding.PLAIN, directory)
        return [memoryview(self.buffer)[: self._used], sealed, _TRAILER.pack(self._used)]

    def _seal(self, kind: BlobKind, encoding: Encoding, content: bytes) -> bytes:
        frame = _FRAME.pack(len(content) + TAG_LENGTH, kind, encoding)
        return frame + self._cipher.seal(self._used, frame, content)


class BlobDecoder:
    """Opens entries of packs: decrypts and decompresses. One per thread."""

    def __init__(self) -> None:
        self._decompressor = zstandard.ZstdDecompressor()

    def decode(self, cipher: ObjectCipher, kind: BlobKind, place: int, stored: bytes) -> bytes:
        """The plain content of an entry that begins at ``place`` of its pack.

        Raises ``VaultDataCorrupt``. The caller still compares the content with the blob's id.
        """
        if len(stored) < _FRAME.size + TAG_LENGTH:
            raise VaultDataCorrupt(f"{cipher.describe(place)} is too short.")
        frame = stored[: _FRAME.size]
        length, found, encoding = _FRAME.unpack(frame)
        if length != len(stored) - _FRAME.size or found != kind:
            raise VaultDataCorrupt(f"{cipher.describe(place)} is damaged: its frame is wrong.")
        content = cipher.open(place, frame, stored[_FRAME.size :])
        if encoding == Encoding.PLAIN:
            return content
        if encoding != Encoding.ZSTD:
            raise VaultDataCorrupt(f"{cipher.describe(place)} is damaged: its encoding {encoding} is none.")
        try:
            return decompress(self._decompressor, content, _MOST_CONTENT)
        except zstandard.ZstdError as error:
            raise VaultDataCorrupt(f"{cipher.describe(place)} cannot be decompressed: {error}") from error


def trailer_range(size: int) -> tuple[int, int]:
    """Offset and length of the trailer of a pack of ``size`` bytes."""
    return size - _TRAILER.size, _TRAILER.size


def directory_range(trailer: bytes, size: int) -> tuple[int, int]:
    """Offset and length of the directory that a trailer points to."""
    (offset,) = _TRAILER.unpack(trailer)
    return offset, size - _TRAILER.size - offset


def parse_directory(name: str, content: bytes) -> list[Entry]:
    """The entries that the decoded directory of the pack ``name`` lists. Raises ``VaultDataCorrupt``."""
    if len(content) % _ENTRY.size:
        raise VaultDataCorrupt(f"Vault object {name} is damaged: its directory holds no whole entries.")
    return [Entry(*fields) for fields in _ENTRY.iter_unpack(content)]
