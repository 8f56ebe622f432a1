"""The object that makes a directory a vault: its chunk size, written last when a vault is made."""

import json

from overwinter.model.errors import VaultDataCorrupt
from overwinter.vault.seal import ObjectKind, Random, VaultKeys, open_object, seal_object
from overwinter.vault.storage import Storage

CONFIG = "config"

#: What chunks of a vault may have at least, in bytes: powers of two, from a block up to what keeps a whole
#: region of the disk small enough to be read at once (32 MiB).
_CHUNK_SIZES = (4 * 1024, 256 * 1024)

DEFAULT_CHUNK_SIZE = 128 * 1024


def is_chunk_size(size: int) -> bool:
    """Whether a vault may have chunks of ``size`` bytes at least."""
    return not size & (size - 1) and _CHUNK_SIZES[0] <= size <= _CHUNK_SIZES[1]


def put_config(storage: Storage, keys: VaultKeys, random: Random, chunk_size: int) -> None:
    """Write it. Raises ``AlreadyExists``."""
    config = json.dumps({"chunk_size": chunk_size}).encode()
    storage.put(CONFIG, [seal_object(keys.new_cipher(ObjectKind.CONFIG, CONFIG, random), config)])


def open_config(keys: VaultKeys, stored: bytes) -> int:
    """The vault's chunk size. Raises ``VaultDataCorrupt`` and ``VaultFormatUnsupported``."""
    config = open_object(keys, ObjectKind.CONFIG, CONFIG, stored)
    try:
        return int(json.loads(config)["chunk_size"])
    except (ValueError, KeyError, TypeError) as error:
        raise VaultDataCorrupt(f"Vault object {CONFIG} is damaged: {error}") from error
