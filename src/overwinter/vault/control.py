"""Small sealed objects that writers and collections steer each other by: what they share besides data.

Each is JSON, written once under its name; who writes a name first decides, everybody else sees it.
"""

import json
from collections.abc import Mapping

from overwinter.model.errors import VaultDataCorrupt
from overwinter.vault.blobs import BlobStore
from overwinter.vault.seal import ObjectKind, open_object, seal_object

#: Listings to wait for until a new object appears in one; a store that needs more is not fit for a vault.
_LISTINGS = 100


def put(blobs: BlobStore, kind: ObjectKind, name: str, value: Mapping[str, object]) -> None:
    """Write an object. Raises ``AlreadyExists``."""
    cipher = blobs.keys.new_cipher(kind, name, blobs.random)
    blobs.storage.put(name, [seal_object(cipher, json.dumps(value).encode())])


def get(blobs: BlobStore, kind: ObjectKind, name: str) -> dict[str, object]:
    """Read an object. Raises ``VaultObjectMissing`` and ``VaultDataCorrupt``."""
    content = open_object(blobs.keys, kind, name, blobs.storage.get(name))
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


def see_listed(blobs: BlobStore, name: str) -> None:
    """Return when ``name`` appears in a listing: from then on everybody who lists sees it.

    Raises ``VaultDataCorrupt`` when it never does.
    """
    for _ in range(_LISTINGS):
        if any(stored.name == name for stored in blobs.storage.list(name.split("/", 1)[0] + "/")):
            return
    raise VaultDataCorrupt(f"The vault's storage does not list {name}, which it has stored.")
