"""The object ``keys/<id>``: the vault's data key, encrypted under a key that one secret gives.

An object is four lines of text: name and version of the format, what is known of the wrap as JSON, the
encrypted data key, a checksum. The first two lines are authenticated byte for byte. Whoever can write to the
storage can put anything here, so reading is bounded before it begins and strict from then on.
"""

import re
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from blake3 import blake3
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from overwinter.model.errors import VaultDataCorrupt, VaultFormatUnsupported
from overwinter.model.protection import KeyKind
from overwinter.vault.seal import KEY_LENGTH, TAG_LENGTH

#: Nothing longer is read; the longest wrap there can be takes about 3,000 bytes.
LONGEST_WRAP = 4096

WRAP_SALT_LENGTH = 32

_FORMAT = b"overwinter-vault-key "
_VERSION = b"1"
_CHECKSUM_LINE = 2 * blake3.digest_size + 1


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("it has characters that do not print")
    return text


Text = Annotated[str, AfterValidator(_printable)]


class _Fields(BaseModel):
    model_config = ConfigDict(
        strict=True, frozen=True, extra="forbid", ser_json_bytes="hex", val_json_bytes="hex"
    )


class Argon2id(_Fields):
    """What one try of a passphrase costs: memory in KiB, passes over it, lanes (threads).

    The bounds keep a changed wrap from exhausting the reader: at most 256 MiB, and 512 MiB over all passes.
    """

    memory_kib: Annotated[int, Field(ge=8, le=256 * 1024)]
    passes: Annotated[int, Field(ge=1, le=16)]
    lanes: Annotated[int, Field(ge=1, le=16)]

    @model_validator(mode="after")
    def _check_product(self) -> "Argon2id":
        if self.memory_kib < 8 * self.lanes or self.memory_kib * self.passes > 512 * 1024:
            raise ValueError("the cost is out of bounds")
        return self


class TokenKey(_Fields):
    """Where a key on a token is found: PKCS#11 module (an absolute path), labels of token and key."""

    module: Annotated[Text, StringConstraints(max_length=255, pattern="^/")]
    token: Annotated[Text, StringConstraints(min_length=1, max_length=32)]
    key: Annotated[Text, StringConstraints(min_length=1, max_length=255)]


class Wrap(_Fields):
    """What the storage says of one wrap; nothing in it is secret.

    ``created`` is null where the maker gave no time. ``parameters`` is null for key files and recovery keys.
    Until its secret opens it, a wrap is as trustworthy as the storage: its ``TokenKey`` tells a person which
    token is meant, and is never loaded.
    """

    id: Annotated[str, StringConstraints(pattern="^[0-9a-f]{16}$")]
    vault: UUID
    kind: KeyKind
    label: Annotated[Text, StringConstraints(max_length=100)]
    created: AwareDatetime | None = None
    salt: Annotated[bytes, Field(min_length=WRAP_SALT_LENGTH, max_length=WRAP_SALT_LENGTH)]
    parameters: Argon2id | TokenKey | None = None

    @model_validator(mode="after")
    def _check_parameters(self) -> "Wrap":
        expected = {KeyKind.PASSPHRASE: Argon2id, KeyKind.TOKEN: TokenKey}.get(self.kind, type(None))
        if not isinstance(self.parameters, expected):
            raise ValueError("parameters and kind do not belong together")
        return self


@dataclass(frozen=True)
class StoredWrap:
    """A wrap as it lies in the storage: what it says, and the data key encrypted and bound to that."""

    wrap: Wrap
    content: bytes
    bound: bytes
    sealed: bytes

    def open(self, wrapping_key: bytes) -> bytes | None:
        """The data key, or null when this is not the wrapping key."""
        try:
            return AESGCM(wrapping_key).decrypt(bytes(12), self.sealed, self.bound)
        except InvalidTag:
            return None


def seal_wrap(wrap: Wrap, wrapping_key: bytes, data_key: bytes) -> bytes:
    """The content of a wrap's object. A wrapping key (its salt is random) must be used once."""
    bound = _FORMAT + _VERSION + b"\n" + wrap.model_dump_json(exclude_none=True).encode() + b"\n"
    # The wrapping key is used once, so a constant nonce is never repeated.
    sealed = AESGCM(wrapping_key).encrypt(bytes(12), data_key, bound)
    content = bound + sealed.hex().encode() + b"\n"
    return content + blake3(content).hexdigest().encode() + b"\n"


def parse_wrap(wrap_id: str, content: bytes) -> StoredWrap:
    """The wrap in the object ``keys/<wrap_id>``, of at most ``LONGEST_WRAP`` bytes.

    Raises ``VaultDataCorrupt`` when it is damaged or not made by us, ``VaultFormatUnsupported`` when it is of
    another version. The messages are the reason alone; the caller names the object.
    """
    checked, checksum = content[:-_CHECKSUM_LINE], content[-_CHECKSUM_LINE:]
    # The checksum tells damage from a wrong key. It protects nothing: anybody can make one.
    if checksum != blake3(checked).hexdigest().encode() + b"\n":
        raise VaultDataCorrupt("its checksum is wrong")
    first, _, rest = checked.partition(b"\n")
    if not re.fullmatch(_FORMAT + b"[1-9][0-9]{0,8}", first):
        raise VaultDataCorrupt("it is no wrap of a key")
    if first != _FORMAT + _VERSION:
        raise VaultFormatUnsupported("it has a version this program does not know")
    fields, _, sealed = rest.partition(b"\n")
    if not re.fullmatch(b"([0-9a-f]{2}){%d}\n" % (KEY_LENGTH + TAG_LENGTH), sealed):
        raise VaultDataCorrupt("its encrypted key has not the right form")
    try:
        wrap = Wrap.model_validate_json(fields)
    except ValidationError as error:
        raise VaultDataCorrupt(_which_field(error)) from None
    if wrap.id != wrap_id:
        raise VaultDataCorrupt("it is the wrap of another name")
    return StoredWrap(wrap, content, first + b"\n" + fields + b"\n", bytes.fromhex(sealed.decode()))


def _which_field(error: ValidationError) -> str:
    """The first wrong field, when it is one of ours: a foreign name could hold anything."""
    place = error.errors(include_input=False, include_url=False)[0]["loc"]
    if place and place[0] in Wrap.model_fields:
        return f"its field {place[0]} is wrong"
    return "its fields are not those of a wrap"
