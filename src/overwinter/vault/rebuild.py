"""Making a vault's index anew from the packs alone, for when index objects are damaged or lost."""

import os

from overwinter.model.errors import VaultDataCorrupt
from overwinter.vault.blobs import BlobStore
from overwinter.vault.index import IndexTable, record
from overwinter.vault.keys import KeySource
from overwinter.vault.pack import (
    BlobDecoder,
    directory_range,
    pack_id,
    parse_directory,
    trailer_range,
)
from overwinter.vault.seal import HEADER_LENGTH, BlobKind, ObjectKind, Random
from overwinter.vault.storage import Storage, StoredObject, open_storage
from overwinter.vault.store import unlocked


def rebuild_index(url: str, key: KeySource) -> int:
    """Write the index anew from the packs' own directories; gives the number of blobs found.

    The old index is removed only when the new one is durable. Raises as
    ``open_vault``, and ``VaultDataCorrupt`` when a pack's directory cannot be read; nothing was removed then.
    """
    return rebuild_index_on(open_storage(url), url, key)


def rebuild_index_on(storage: Storage, url: str, key: KeySource, random: Random = os.urandom) -> int:
    """``rebuild_index`` on an open storage; ``url`` is for messages."""
    blobs, _ = unlocked(storage, url, key, random)
    old = [stored.name for stored in blobs.storage.list("index/")]
    for stored in blobs.storage.list("packs/"):
        blobs.index.add(IndexTable.of(_records(blobs, stored)))
    blobs.rewrite_index()
    blobs.storage.delete(old)
    return len(blobs.index)


def _records(blobs: BlobStore, stored: StoredObject) -> list[bytes]:
    """The index records of one pack."""
    pack = pack_id(stored.name)
    if pack is None:
        raise VaultDataCorrupt(f"Vault object {stored.name} does not belong here: its name is no pack's.")
    header = blobs.storage.get_range(stored.name, 0, HEADER_LENGTH)
    cipher = blobs.keys.cipher(ObjectKind.PACK, stored.name, header)
    trailer = blobs.storage.get_range(stored.name, *trailer_range(stored.size))
    offset, length = directory_range(trailer, stored.size)
    if length <= 0:
        raise VaultDataCorrupt(f"Vault object {stored.name} is damaged: its end is not that of a pack.")
    sealed = blobs.storage.get_range(stored.name, offset, length)
    directory = BlobDecoder().decode(cipher, BlobKind.DIRECTORY, offset, sealed)
    return [record(pack, entry) for entry in parse_directory(stored.name, directory.content)]
