"""Small sealed objects that writers and collections steer each other by: what they share besides data.

Each is JSON, written once under its name; who writes a name first decides, everybody else sees it.
"""

import json
from collections.abc import Mapping
from typing import Protocol

from overwinter.model.errors import VaultDataCorrupt, VaultObjectMissing, VaultSessionEnded
from overwinter.vault.seal import ObjectKind, Random, VaultKeys, open_object, seal_object
from overwinter.vault.storage import Storage

#: Listings to wait for until a new object appears in one; a store that needs more is not fit for a vault.
_LISTINGS = 100


class Objects(Protocol):
    """Whoever has a vault's storage and keys."""

    storage: Storage
    keys: VaultKeys
    random: Random


def put(vault: Objects, kind: ObjectKind, name: str, value: Mapping[str, object]) -> None:
    """Write an object. Raises ``AlreadyExists``."""
    cipher = vault.keys.new_cipher(kind, name, vault.random)
    vault.storage.put(name, [seal_object(cipher, json.dumps(value).encode())])


def get(vault: Objects, kind: ObjectKind, name: str) -> dict[str, object]:
    """Read an object. Raises ``VaultObjectMissing`` and ``VaultDataCorrupt``."""
    content = open_object(vault.keys, kind, name, vault.storage.get(name))
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise VaultDataCorrupt(f"Vault object {name} is damaged: {error}") from error
    if not isinstance(value, dict):
        raise VaultDataCorrupt(f"Vault object {name} is damaged: it holds no fields.")
    return value


def texts(value: Mapping[str, object], field: str) -> list[str]:
    """A field that is a list of texts. Raises ``VaultDataCorrupt``."""
    found = value.get(field)
    if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
        raise VaultDataCorrupt(f"An object of the vault is damaged: {field} is no list of texts.")
    return found


def text(value: Mapping[str, object], field: str) -> str:
    """A field that is a text. Raises ``VaultDataCorrupt``."""
    found = value.get(field)
    if not isinstance(found, str):
        raise VaultDataCorrupt(f"An object of the vault is damaged: {field} is no text.")
    return found


def see_listed(vault: Objects, name: str) -> None:
    """Return when ``name`` appears in a listing: from then on everybody who lists sees it.

    Raises ``VaultSessionEnded`` when others have removed it already, because they took this process for
    dead, and ``VaultDataCorrupt`` when it is there and never listed.
    """
    for _ in range(_LISTINGS):
        if any(stored.name == name for stored in vault.storage.list(name.split("/", 1)[0] + "/")):
            return
        try:
            vault.storage.get(name)
        except VaultObjectMissing as error:
            raise VaultSessionEnded(
                "A collection of garbage took this for dead and ended it; nothing was changed. Run it again."
            ) from error
    raise VaultDataCorrupt(f"The vault's storage does not list {name}, which it has stored.")
