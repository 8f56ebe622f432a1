"""Making a vault's index anew from the packs alone, for when index objects are damaged or lost."""

import os

from overwinter.vault.blobs import BlobStore
from overwinter.vault.directory import pack_of, read_directory
from overwinter.vault.index import IndexTable, record
from overwinter.vault.keys import KeySource
from overwinter.vault.storage import StoredObject, open_storage
from overwinter.vault.store import unlocked


def rebuild_index(url: str, key: KeySource) -> int:
    """Write the index anew from the packs' own directories; gives the number of blobs found.

    The old index is removed only when the new one is durable. Raises as
    ``open_vault``, and ``VaultDataCorrupt`` when a pack's directory cannot be read; nothing was removed then.
    """
    blobs, _ = unlocked(open_storage(url), url, key, os.urandom)
    old = [stored.name for stored in blobs.storage.list("index/")]
    for stored in blobs.storage.list("packs/"):
        blobs.index.add(IndexTable.of(_records(blobs, stored)))
    blobs.rewrite_index()
    blobs.storage.delete(old)
    return len(blobs.index)


def _records(blobs: BlobStore, stored: StoredObject) -> list[bytes]:
    """The index records of one pack."""
    return [record(pack_of(stored), entry) for entry in read_directory(blobs, stored)]
