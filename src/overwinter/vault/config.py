"""The object that makes a directory a vault: its chunk size, written last when a vault is made."""

import json

from overwinter.model.errors import VaultDataCorrupt, VaultError, VaultObjectMissing
from overwinter.vault.chunking import is_chunk_size
from overwinter.vault.seal import ObjectKind, Random, VaultKeys, open_object, seal_object
from overwinter.vault.storage import Storage

CONFIG = "config"


def put_config(storage: Storage, keys: VaultKeys, random: Random, chunk_size: int) -> None:
    """Write it. Raises ``AlreadyExists``."""
    config = json.dumps({"chunk_size": chunk_size}).encode()
    storage.put(CONFIG, [seal_object(keys.new_cipher(ObjectKind.CONFIG, CONFIG, random), config)])


def open_config(keys: VaultKeys, stored: bytes) -> int:
    """The vault's chunk size. Raises ``VaultDataCorrupt`` and ``VaultFormatUnsupported``."""
    config = open_object(keys, ObjectKind.CONFIG, CONFIG, stored)
    try:
        chunk_size = json.loads(config)["chunk_size"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise VaultDataCorrupt(f"Vault object {CONFIG} is damaged: {error}") from error
    if type(chunk_size) is not int or not is_chunk_size(chunk_size):
        raise VaultDataCorrupt(f"Vault object {CONFIG} is damaged: {chunk_size!r} is no chunk size.")
    return chunk_size


def check_there(storage: Storage, keys: VaultKeys) -> None:
    """Make sure that the vault is still where it was when it was opened: its storage may be another by now.

    Raises ``VaultError`` when it is not, ``VaultObjectMissing`` when only its config is lost.
    """
    try:
        open_config(keys, storage.get(CONFIG))
    except VaultObjectMissing as error:
        raise missing(storage, "its place any more, as if its storage were not mounted") from error


def missing(storage: Storage, where: str) -> VaultError:
    """What it means that the config is not there; ``where`` is for the message."""
    if storage.list("packs/"):
        return VaultObjectMissing(
            "The vault has lost its config. Repair makes it anew: overwinter vault repair VAULT"
        )
    return VaultError(f"There is no vault at {where}.")
