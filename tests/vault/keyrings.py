"""Vaults with several keys: what the tests of the vault's keys share."""

from datetime import UTC, datetime

from blake3 import blake3

from overwinter.model.errors import VaultKeyWrong
from overwinter.model.protection import KeyKind
from overwinter.vault import Argon2id, KeySource, Wrap, add_wrap, wraps
from overwinter.vault.keys.random_key import RandomKey
from overwinter.vault.storage import Storage
from overwinter.vault.store import create_vault_on, open_vault_on
from tests.vault.disks import CHUNK, VAULT_ID

#: A passphrase that is tried in no time; never a default.
CHEAP = Argon2id(memory_kib=8, passes=1, lanes=1)

NOW = datetime(2026, 11, 21, 14, 30, tzinfo=UTC)


def number_key(number: int) -> KeySource:
    return KeySource(RandomKey(KeyKind.KEY_FILE, bytes([number]) * 32))


def new_vault(storage: Storage, *others: KeySource) -> list[str]:
    """A vault that opens with key 1 and the others; gives the ids of their wraps in this order."""
    create_vault_on(storage, "here", number_key(1), VAULT_ID, CHUNK)
    (first,) = wraps(storage)
    return [first.id, *(add(storage, number_key(1), key).id for key in others)]


def add(storage: Storage, key: KeySource, new_key: KeySource, label: str = "") -> Wrap:
    return add_wrap(storage, key, new_key, label=label, created=NOW)


def opens(storage: Storage, key: KeySource) -> bool:
    try:
        open_vault_on(storage, "here", key)
    except VaultKeyWrong:
        return False
    return True


def forged(fields: bytes, first: bytes = b"overwinter-vault-key 1", sealed: bytes = b"00" * 48) -> bytes:
    """A wrap that anybody can make: its checksum is right."""
    content = first + b"\n" + fields + b"\n" + sealed + b"\n"
    return content + blake3(content).hexdigest().encode() + b"\n"
