"""Making a vault's index anew from the packs alone, for when only index objects are damaged or lost."""

import os
from contextlib import suppress

from overwinter.model.errors import VaultObjectMissing
from overwinter.vault.directory import index_records
from overwinter.vault.index import IndexTable
from overwinter.vault.keys import KeySource
from overwinter.vault.seal import Random
from overwinter.vault.storage import Storage, open_storage
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
        with suppress(VaultObjectMissing):  # collected since the listing
            blobs.index.add(IndexTable.of(index_records(blobs, stored)))
    blobs.rewrite_index()
    blobs.storage.delete(old)
    return len(blobs.index)
