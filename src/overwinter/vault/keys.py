"""Who may open a vault: a passphrase or a key file wraps the vault's random data key.

Each wrap is an object of its own under ``keys/``, so that wraps can be added and taken away without touching
data. A wrap tells the storage its kind and parameters, never anything about the key.
"""

import base64
import binascii
import json
import os
import unicodedata
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

from argon2.low_level import Type, hash_secret_raw
from blake3 import blake3
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from overwinter.model.errors import (
    AlreadyExists,
    RequestError,
    VaultDataCorrupt,
    VaultFormatUnsupported,
    VaultKeyWrong,
)
from overwinter.model.protection import KeyKind
from overwinter.vault.seal import FORMAT_VERSION, KEY_LENGTH, Random

#: Argon2id cost, RFC 9106 section 4, second recommended option: 64 MiB, 3 passes, 4 lanes.
_ARGON2 = {"memory_kib": 65536, "passes": 3, "lanes": 4}

#: Costs above these are not believed: a changed wrap must not exhaust the reader.
_ARGON2_LIMITS = {"memory_kib": 4 * 1024 * 1024, "passes": 64, "lanes": 64}

_FORMAT = "overwinter-vault-key"


class KeySource:
    """A secret somebody holds that opens a vault: a passphrase or the content of a key file."""

    def __init__(self, kind: KeyKind, secret: bytes) -> None:
        self.kind = kind
        self._secret = secret

    @classmethod
    def from_passphrase(cls, text: str) -> "KeySource":
        """A passphrase, as Unicode NFC. Raises ``RequestError`` when it is empty."""
        if not text:
            raise RequestError("The passphrase is empty; give at least one word.")
        return cls(KeyKind.PASSPHRASE, unicodedata.normalize("NFC", text).encode())

    @classmethod
    def from_key_file(cls, path: Path | str) -> "KeySource":
        """A key file: 32 bytes as hexadecimal or base64 text.

        Raises ``VaultKeyWrong`` when the file cannot be read or holds no key.
        """
        try:
            text = Path(path).read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise VaultKeyWrong(f"Key file {path} cannot be read: {error}") from error
        try:
            secret = bytes.fromhex(text) if len(text) == 64 else base64.b64decode(text, validate=True)
        except (ValueError, binascii.Error) as error:
            raise VaultKeyWrong(f"Key file {path} holds no key: it must be hexadecimal or base64.") from error
        if len(secret) != KEY_LENGTH:
            raise VaultKeyWrong(f"Key file {path} holds {len(secret)} bytes; a key has {KEY_LENGTH}.")
        return cls(KeyKind.KEY_FILE, secret)

    @classmethod
    def new_key_file(cls, path: Path | str, random: Random = os.urandom) -> "KeySource":
        """Write a new random key to a new file that only its owner reads, durably.

        Raises ``AlreadyExists`` when the file is there already; it is not touched.
        """
        secret = random(KEY_LENGTH)
        target = Path(path)
        try:
            descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError as error:
            raise AlreadyExists(f"Key file {path} exists already; it was not changed.") from error
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.b64encode(secret) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        directory = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
        return cls(KeyKind.KEY_FILE, secret)

    def wrap(self, data_key: bytes, vault_id: UUID, random: Random) -> bytes:
        """The content of a key object: ``data_key`` encrypted under this secret."""
        wrap: dict[str, object] = {
            "format": _FORMAT,
            "version": FORMAT_VERSION,
            "vault": str(vault_id),
            "kind": str(self.kind),
            "salt": random(16).hex(),
        }
        if self.kind is KeyKind.PASSPHRASE:
            wrap["argon2id"] = dict(_ARGON2)
        # The wrapping key is fresh (random salt) and used once: a constant nonce is never repeated.
        sealed = AESGCM(self._wrapping_key(wrap)).encrypt(bytes(12), data_key, _bound(wrap))
        wrap["wrapped"] = sealed.hex()
        return _with_checksum(wrap)

    def unwrap(self, name: str, stored: bytes) -> tuple[UUID, bytes] | None:
        """Vault id and data key of a key object, or null when this secret does not open it.

        Raises ``VaultDataCorrupt`` when the object is damaged, ``VaultFormatUnsupported`` when it is of
        another version.
        """
        wrap = check_wrap(name, stored)
        if wrap["kind"] != self.kind:
            return None
        try:
            vault_id, sealed = UUID(str(wrap["vault"])), bytes.fromhex(str(wrap.pop("wrapped")))
            data_key = AESGCM(self._wrapping_key(wrap)).decrypt(bytes(12), sealed, _bound(wrap))
        except InvalidTag:
            return None
        except (KeyError, ValueError, TypeError) as error:
            raise VaultDataCorrupt(f"Vault object {name} is damaged: {error}") from error
        return vault_id, data_key

    def _wrapping_key(self, wrap: dict[str, object]) -> bytes:
        salt = bytes.fromhex(str(wrap["salt"]))
        if self.kind is KeyKind.KEY_FILE:
            derivation = HKDF(algorithm=SHA256(), length=KEY_LENGTH, salt=salt, info=_FORMAT.encode())
            return derivation.derive(self._secret)
        cost = wrap["argon2id"]
        if not isinstance(cost, dict) or any(
            not isinstance(cost.get(name), int) or not 0 < cost[name] <= limit
            for name, limit in _ARGON2_LIMITS.items()
        ):
            raise ValueError("its Argon2id cost is out of bounds")
        return hash_secret_raw(
            self._secret,
            salt,
            time_cost=cost["passes"],
            memory_cost=cost["memory_kib"],
            parallelism=cost["lanes"],
            hash_len=KEY_LENGTH,
            type=Type.ID,
        )


def unlock(source: KeySource, names: list[str], read: Callable[[str], bytes]) -> tuple[UUID, bytes]:
    """Vault id and data key, from the first of the key objects ``names`` that ``source`` opens.

    A damaged key object does not keep another one from opening. Raises ``VaultKeyWrong`` when none opens,
    or the damage when that is the likelier reason.
    """
    damage: VaultDataCorrupt | None = None
    for name in names:
        try:
            opened = source.unwrap(name, read(name))
        except VaultDataCorrupt as error:
            damage = error
            continue
        if opened is not None:
            return opened
    if damage is not None:
        raise damage
    raise VaultKeyWrong(f"This {source.kind.value.replace('-', ' ')} does not open the vault.")


def _bound(wrap: dict[str, object]) -> bytes:
    return json.dumps(wrap, sort_keys=True).encode()


def _with_checksum(wrap: dict[str, object]) -> bytes:
    """A plain checksum tells a damaged wrap from a wrong key; it protects nothing."""
    checksum = blake3(_bound(wrap)).hexdigest()
    return json.dumps({**wrap, "checksum": checksum}, indent=1, sort_keys=True).encode() + b"\n"


def check_wrap(name: str, stored: bytes) -> dict[str, object]:
    """The fields of a key object that is whole; errors as ``KeySource.unwrap``."""
    try:
        wrap = json.loads(stored)
        checksum = wrap.pop("checksum")
        intact = blake3(_bound(wrap)).hexdigest() == checksum and wrap["format"] == _FORMAT
        version = wrap["version"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise VaultDataCorrupt(f"Vault object {name} is damaged: it is no key object.") from error
    if not intact:
        raise VaultDataCorrupt(f"Vault object {name} is damaged: its checksum is wrong.")
    if version != FORMAT_VERSION:
        raise VaultFormatUnsupported(f"Vault object {name} has version {version}; use a newer Overwinter.")
    return dict(wrap)
