"""Which storage a vault URL names."""

import shutil

from overwinter.vault.storage.interface import Storage
from overwinter.vault.storage.local import LocalStorage
from overwinter.vault.storage.location import LocalLocation, parse_location
from overwinter.vault.storage.objects import ObjectStorage
from overwinter.vault.storage.read_cache import CachedStorage, ReadCache


def open_storage(url: str, cache: ReadCache | None = None) -> Storage:
    """The storage behind a vault URL (forms: ``location.py``); asks nothing of it yet.

    Object stores are read through ``cache``; a directory of this machine needs none. Raises ``VaultError``
    when the URL is wrong or credentials are missing.
    """
    location = parse_location(url)
    if isinstance(location, LocalLocation):
        return LocalStorage(location.directory)
    storage = ObjectStorage(location)
    return storage if cache is None else CachedStorage(storage, cache, url)


def free_bytes(url: str) -> int | None:
    """Room left for a vault: that of the file system under a directory, null where there is no known bound.

    Raises ``VaultError`` when the URL is wrong.
    """
    location = parse_location(url)
    if not isinstance(location, LocalLocation):
        return None
    return shutil.disk_usage(location.directory).free
