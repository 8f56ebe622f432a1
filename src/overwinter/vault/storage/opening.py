"""Which storage a vault URL names."""

from overwinter.vault.storage.interface import Storage
from overwinter.vault.storage.local import LocalStorage
from overwinter.vault.storage.location import LocalLocation, parse_location
from overwinter.vault.storage.objects import ObjectStorage


def open_storage(url: str) -> Storage:
    """The storage behind a vault URL (forms: ``location.py``); asks nothing of it yet.

    Raises ``VaultError`` when the URL is wrong or credentials are missing.
    """
    location = parse_location(url)
    if isinstance(location, LocalLocation):
        return LocalStorage(location.directory)
    return ObjectStorage(location)
