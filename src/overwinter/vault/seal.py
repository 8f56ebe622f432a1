"""How objects are encrypted: sub-keys of the vault's data key, object headers, sealed places.

Every object begins with a plain header that holds a random salt. The object's own key is derived from the
data key and that salt, so the offset of a sealed piece within its object can serve as nonce. Kind, vault and
object name are associated data: an object that was moved, swapped or altered does not open.
"""

import struct
from collections.abc import Callable
from enum import IntEnum
from uuid import UUID

from blake3 import blake3
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from overwinter.model.errors import VaultDataCorrupt, VaultFormatUnsupported
from overwinter.vault.storage import Buffer

KEY_LENGTH = 32

#: Of keyed hashes that name blobs: nobody without the key can look for two contents that share one.
ID_LENGTH = 16
TAG_LENGTH = 16
SALT_LENGTH = 32
FORMAT_VERSION = 2

_MAGIC = b"OVWR"
_HEADER = struct.Struct(">4sBBxx32s")
HEADER_LENGTH = _HEADER.size

Random = Callable[[int], bytes]


class ObjectKind(IntEnum):
    """What an object is; part of its header and of its associated data."""

    CONFIG = 1
    PACK = 2
    INDEX = 3
    MANIFEST = 4
    SESSION = 5
    COLLECTION = 6
    TOMBSTONE = 7
    MARK = 8
    DAMAGE = 9


class BlobKind(IntEnum):
    """What a piece inside a pack is; each kind has its own identity key."""

    CHUNK = 1
    PAGE = 2
    DIRECTORY = 3


class ObjectCipher:
    """AES-256-GCM under the own key of one object.

    ``header`` is the object's plain beginning. A place (byte offset in the object) must be sealed only once.
    """

    def __init__(self, key: bytes, header: bytes, vault_id: UUID, name: str) -> None:
        self.header = header
        self._name = name
        self._bound = header + vault_id.bytes + name.encode()
        self._aes = AESGCM(key)

    def seal(self, place: int, bound: bytes, plain: Buffer) -> bytes:
        """Encrypt ``plain``, bound to its place and to ``bound``; 16 bytes longer than ``plain``."""
        return self._aes.encrypt(place.to_bytes(12, "big"), plain, self._bound + bound)

    def open(self, place: int, bound: bytes, sealed: Buffer) -> bytes:
        """Decrypt what ``seal`` made for the same place. Raises ``VaultDataCorrupt``."""
        try:
            return self._aes.decrypt(place.to_bytes(12, "big"), sealed, self._bound + bound)
        except (InvalidTag, ValueError) as error:
            raise VaultDataCorrupt(f"{self.describe(place)} is damaged or was changed.") from error

    def describe(self, place: int) -> str:
        """A place of the object in words, for error messages."""
        return f"Vault object {self._name} at byte {place}"


class VaultKeys:
    """The sub-keys of one vault's data key."""

    def __init__(self, data_key: bytes, vault_id: UUID) -> None:
        self.vault_id = vault_id
        self._data_key = data_key
        self._identity_keys = {kind: self._derive(b"", f"{kind.name} identity") for kind in BlobKind}
        self._name_key = self._derive(b"", "manifest name")
        self._chunking_key = self._derive(b"", "chunk boundaries")

    def identity(self, kind: BlobKind, plain: Buffer) -> bytes:
        """The keyed hash that names a blob; it tells nothing about the content to who lacks the key."""
        return blake3(plain, key=self._identity_keys[kind]).digest(ID_LENGTH)

    def chunking_seed(self, length: int) -> bytes:
        """What decides where chunks end in this vault."""
        return blake3(b"", key=self._chunking_key).digest(length)

    def manifest_name(self, point_id: str, attempt: int) -> str:
        """32 hexadecimal digits that hide the point's id and the number of the attempt to commit it."""
        return blake3(f"{attempt} {point_id}".encode(), key=self._name_key).hexdigest(16)

    def new_cipher(self, kind: ObjectKind, name: str, random: Random) -> ObjectCipher:
        """The cipher for writing a new object, with a fresh salt in its header."""
        return self._cipher(_HEADER.pack(_MAGIC, FORMAT_VERSION, kind, random(SALT_LENGTH)), name)

    def cipher(self, kind: ObjectKind, name: str, header: bytes) -> ObjectCipher:
        """The cipher of an existing object, from its first ``HEADER_LENGTH`` bytes.

        Raises ``VaultDataCorrupt`` when this is no header of such an object, ``VaultFormatUnsupported`` when
        its version is not ours.
        """
        check_header(kind, name, header)
        return self._cipher(header, name)

    def _cipher(self, header: bytes, name: str) -> ObjectCipher:
        salt = header[-SALT_LENGTH:]
        return ObjectCipher(self._derive(salt, "object"), header, self.vault_id, name)

    def _derive(self, salt: bytes, purpose: str) -> bytes:
        info = b"overwinter vault 1 " + self.vault_id.bytes + purpose.encode()
        return HKDF(algorithm=SHA256(), length=KEY_LENGTH, salt=salt, info=info).derive(self._data_key)


def check_header(kind: ObjectKind, name: str, header: bytes) -> None:
    """Check an object's plain beginning before any key is used; errors as ``VaultKeys.cipher``."""
    if len(header) < HEADER_LENGTH:
        raise VaultDataCorrupt(f"Vault object {name} is shorter than its header: it was truncated.")
    magic, version, found, _ = _HEADER.unpack(header)
    if magic != _MAGIC:
        raise VaultDataCorrupt(f"Vault object {name} is damaged: it does not begin like one of ours.")
    if version != FORMAT_VERSION:
        raise VaultFormatUnsupported(
            f"Vault object {name} has format version {version}; this program knows version {FORMAT_VERSION}. "
            "Use a newer Overwinter; nothing was changed."
        )
    if found != kind:
        raise VaultDataCorrupt(f"Vault object {name} is damaged: it is of kind {found}, not {kind}.")


def stored_kind(stored: bytes) -> int | None:
    """The kind that an object claims to be; null when it is too short for a header."""
    if len(stored) < HEADER_LENGTH:
        return None
    kind: int = _HEADER.unpack(stored[:HEADER_LENGTH])[2]
    return kind


def seal_object(cipher: ObjectCipher, plain: bytes) -> bytes:
    """A whole object made of one sealed piece: header, then ``plain`` encrypted."""
    return cipher.header + cipher.seal(HEADER_LENGTH, b"", plain)


def open_object(keys: VaultKeys, kind: ObjectKind, name: str, stored: bytes) -> bytes:
    """The content of an object made by ``seal_object``; errors as ``VaultKeys.cipher``."""
    cipher = keys.cipher(kind, name, stored[:HEADER_LENGTH])
    return cipher.open(HEADER_LENGTH, b"", stored[HEADER_LENGTH:])
