"""Where a vault's objects lie: a local directory, S3 or Azure Blob storage.

The rest of the room sees the ``Storage`` interface only.
"""

from overwinter.vault.storage.interface import UNFINISHED, Buffer, Storage, StoredObject
from overwinter.vault.storage.local import LocalStorage
from overwinter.vault.storage.objects import ObjectStorage
from overwinter.vault.storage.opening import open_storage

__all__ = [
    "UNFINISHED",
    "Buffer",
    "LocalStorage",
    "ObjectStorage",
    "Storage",
    "StoredObject",
    "open_storage",
]
