"""Which storage a vault URL names."""

import shutil

from overwinter.vault.storage.connection import Patience
from overwinter.vault.storage.interface import Storage
from overwinter.vault.storage.local import LocalStorage
from overwinter.vault.storage.location import LocalLocation, parse_location
from overwinter.vault.storage.objects import ObjectStorage
from overwinter.vault.storage.read_cache import CachedStorage, ReadCache

#: For the first question to a store.
FIRST_LOOK = Patience(connect=5, request=20, retry=10)


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


def look_first(url: str) -> None:
    """Raise ``VaultError``, and soon, when a store that somebody names just now does not answer.

    Later a store is waited for, since it was there before and comes back; now its address is most likely
    wrong, and a person waits for the answer.
    """
    location = parse_location(url)
    if not isinstance(location, LocalLocation):
        ObjectStorage(location, FIRST_LOOK).list("keys/")


def free_bytes(url: str) -> int | None:
    """Room left for a vault: that of the file system under a directory, null where there is no known bound.

    Raises ``VaultError`` when the URL is wrong.
    """
    location = parse_location(url)
    if not isinstance(location, LocalLocation):
        return None
    return shutil.disk_usage(location.directory).free
