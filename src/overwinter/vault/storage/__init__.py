"""Where a vault's objects lie: a local directory, S3 or Azure Blob storage; and a cache for reading.

The rest of the room sees the ``Storage`` interface only. See docs/object-storage.md.
"""

from overwinter.vault.storage.interface import UNFINISHED, Buffer, Storage, StoredObject
from overwinter.vault.storage.local import LocalStorage
from overwinter.vault.storage.objects import ObjectStorage
from overwinter.vault.storage.opening import free_bytes, look_first, open_storage
from overwinter.vault.storage.read_cache import CachedStorage, ReadCache, uncached

__all__ = [
    "UNFINISHED",
    "Buffer",
    "CachedStorage",
    "LocalStorage",
    "ObjectStorage",
    "ReadCache",
    "Storage",
    "StoredObject",
    "free_bytes",
    "look_first",
    "open_storage",
    "uncached",
]
