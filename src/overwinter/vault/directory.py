"""What a pack holds, from itself: by its directory, or by its frames where that is damaged."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from overwinter.model.errors import VaultDataCorrupt
from overwinter.vault.blobs import BlobStore
from overwinter.vault.index import record
from overwinter.vault.pack import (
    Blob,
    BlobDecoder,
    Entry,
    Opened,
    decrypt,
    directory_range,
    frame_length,
    pack_id,
    parse_directory,
    trailer_range,
)
from overwinter.vault.seal import HEADER_LENGTH, BlobKind, ObjectCipher, ObjectKind
from overwinter.vault.storage import StoredObject

#: How every frame looks from its fifth byte: number of blobs, kind, encoding, zeros.
_FRAME_LIKE = re.compile(rb"(?=.{4}\0\0[\0\1].[\1\2][\0\1]\0\0)", re.DOTALL)


@dataclass(frozen=True)
class Found:
    """A segment that a scan found whole: its place in bytes, itself, and its blobs."""

    offset: int
    length: int
    opened: Opened
    blobs: list[Blob]


def pack_of(stored: StoredObject) -> bytes:
    """The id of the pack that an object is. Raises ``VaultDataCorrupt``."""
    pack = pack_id(stored.name)
    if pack is None:
        raise VaultDataCorrupt(f"Vault object {stored.name} does not belong here: its name is no pack's.")
    return pack


def read_directory(blobs: BlobStore, stored: StoredObject) -> list[Entry]:
    """The entries of a pack, from its directory. Raises ``VaultDataCorrupt``."""
    cipher = pack_cipher(blobs, stored.name)
    if stored.size <= HEADER_LENGTH + trailer_range(0)[1]:
        raise VaultDataCorrupt(f"Vault object {stored.name} is damaged: it is too short for a pack.")
    trailer = blobs.storage.get_range(stored.name, *trailer_range(stored.size))
    offset, length = directory_range(trailer, stored.size)
    if length <= 0:
        raise VaultDataCorrupt(f"Vault object {stored.name} is damaged: its end is not that of a pack.")
    sealed = blobs.storage.get_range(stored.name, offset, length)
    directory = BlobDecoder().decode(cipher, BlobKind.DIRECTORY, offset, sealed)
    return parse_directory(stored.name, directory.content)


def index_records(blobs: BlobStore, stored: StoredObject) -> list[bytes]:
    """The index records of a pack, from its directory. Raises ``VaultDataCorrupt``."""
    pack = pack_of(stored)
    return [record(pack, entry) for entry in read_directory(blobs, stored)]


def pack_cipher(blobs: BlobStore, name: str) -> ObjectCipher:
    """The cipher of a pack, from its header as it is stored now. Raises ``VaultDataCorrupt``."""
    return blobs.keys.cipher(ObjectKind.PACK, name, blobs.storage.get_range(name, 0, HEADER_LENGTH))


def scan(blobs: BlobStore, name: str) -> Iterator[Found]:
    """Every whole segment of a pack, in order, whatever else is damaged.

    Nothing is found in a pack whose header is damaged: it holds what its key is made of. Raises
    ``VaultObjectMissing`` and ``VaultFormatUnsupported``.
    """
    stored = blobs.storage.get(name)
    try:
        cipher = blobs.keys.cipher(ObjectKind.PACK, name, stored[:HEADER_LENGTH])
    except VaultDataCorrupt:
        return
    decoder = BlobDecoder()
    view = memoryview(stored)
    begin = HEADER_LENGTH
    while (match := _FRAME_LIKE.search(stored, begin)) is not None:
        begin = match.start()
        length = frame_length(view[begin:])
        try:
            opened = decrypt(cipher, begin, view[begin : begin + length])
            segment = decoder.decompress(cipher, begin, opened)
        except VaultDataCorrupt:
            begin += 1  # a frame that is damaged, or content that looks like one
            continue
        if opened.kind is not BlobKind.DIRECTORY:
            contents = segment.each_blob()
            its = [Blob(blobs.keys.identity(opened.kind, content), len(content)) for content in contents]
            yield Found(begin, length, opened, its)
        begin += length
