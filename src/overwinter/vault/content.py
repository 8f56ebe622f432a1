"""Reading segments back and comparing every blob with its id."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby

from overwinter.model.errors import VaultDataCorrupt, VaultObjectMissing
from overwinter.vault.blobs import BlobStore
from overwinter.vault.directory import pack_cipher
from overwinter.vault.liveness import LiveBlob
from overwinter.vault.pack import BlobDecoder, decrypt, pack_name
from overwinter.vault.seal import ObjectCipher
from overwinter.vault.storage import Buffer
from overwinter.vault.structure import DAMAGES

#: Bytes to fetch at a time, and unwanted ones between two wanted segments that are fetched along.
_FETCH = 4 * 1024 * 1024
_GAP = 64 * 1024


@dataclass(frozen=True)
class Wanted:
    """Blobs of one segment of a pack, to be looked at."""

    offset: int
    length: int
    blobs: list[LiveBlob]

    @property
    def keys(self) -> bytes:
        """The blobs' ids."""
        return b"".join(blob.id for blob in self.blobs)


@dataclass
class PackRead:
    """What came of a pack: segments and bytes read, damaged segments by their offsets, with the reason.

    ``damaged_keys`` and ``gone_keys`` are the ids of the blobs in them, and of those that were
    not looked at because the pack has vanished.
    """

    pack: bytes
    segments: int = 0
    bytes: int = 0
    damaged: dict[int, str] = field(default_factory=dict)
    damaged_keys: bytearray = field(default_factory=bytearray)
    gone_keys: bytearray = field(default_factory=bytearray)

    def add_damaged(self, segment: Wanted, reason: str) -> None:
        """Take note of a damaged segment."""
        self.damaged[segment.offset] = reason
        self.damaged_keys += segment.keys


def by_segment(blobs: Iterable[LiveBlob]) -> list[Wanted]:
    """Blobs of a pack, in order, by their segments."""
    return [
        Wanted(offset, length, list(group))
        for (offset, length), group in groupby(blobs, key=lambda blob: (blob.offset, blob.length))
    ]


def read_pack(
    blobs: BlobStore, pack: bytes, segments: list[Wanted], cancelled: Callable[[], None] | None
) -> PackRead:
    """Look at some segments of a pack, in order. For several threads, each with another pack."""
    result = PackRead(pack)
    name = pack_name(pack)
    decoder = BlobDecoder()
    try:
        cipher = pack_cipher(blobs, name)
    except VaultObjectMissing:
        result.gone_keys += b"".join(segment.keys for segment in segments)
        return result
    except DAMAGES as error:
        for segment in segments:
            result.add_damaged(segment, error.message)
        return result
    for group in _groups(segments):
        if cancelled is not None:
            cancelled()
        for segment, stored in _fetched(blobs, name, group):
            if isinstance(stored, VaultObjectMissing):
                result.gone_keys += segment.keys
                continue
            if isinstance(stored, VaultDataCorrupt):
                result.add_damaged(segment, stored.message)
                continue
            result.segments += 1
            result.bytes += segment.length
            try:
                _check(blobs, cipher, decoder, segment, stored)
            except VaultDataCorrupt as error:
                result.add_damaged(segment, error.message)
    return result


def _groups(segments: list[Wanted]) -> Iterator[list[Wanted]]:
    """Neighbouring segments together, as one fetch."""
    group: list[Wanted] = []
    for segment in segments:
        if group:
            end = group[-1].offset + group[-1].length
            far = segment.offset > end + _GAP
            if far or segment.offset + segment.length - group[0].offset > _FETCH:
                yield group
                group = []
        group.append(segment)
    if group:
        yield group


def _fetched(
    blobs: BlobStore, name: str, group: list[Wanted]
) -> Iterator[tuple[Wanted, Buffer | VaultDataCorrupt]]:
    """The stored bytes of each segment, or why there are none."""
    begin, end = group[0].offset, group[-1].offset + group[-1].length
    try:
        stored = memoryview(blobs.storage.get_range(name, begin, end - begin))
    except VaultDataCorrupt as error:
        if len(group) == 1 or isinstance(error, VaultObjectMissing):
            yield from ((segment, error) for segment in group)
        else:  # the pack is too short for some of them
            for segment in group:
                yield from _fetched(blobs, name, [segment])
        return
    for segment in group:
        yield segment, stored[segment.offset - begin :][: segment.length]


def _check(
    blobs: BlobStore, cipher: ObjectCipher, decoder: BlobDecoder, segment: Wanted, stored: Buffer
) -> None:
    opened = decrypt(cipher, segment.offset, stored)
    plain = decoder.decompress(cipher, segment.offset, opened)
    for blob in segment.blobs:
        if blobs.keys.identity(opened.kind, plain.blobs(blob.number)) != blob.id:
            raise VaultDataCorrupt(f"{cipher.describe(segment.offset)} is not what the index says.")
