"""The secrets that open vaults, as values: for whoever must keep them out of what is shown.

Nothing else may ask for them: who wants to open a vault has ``key_at`` and ``open_storage``.
"""

import base64
from collections.abc import Iterator
from urllib.parse import unquote

from overwinter.model.errors import VaultKeyWrong
from overwinter.vault.keys.private_file import read_private_file
from overwinter.vault.keys.recovery import parse_recovery_key
from overwinter.vault.keys.reference import secret_file
from overwinter.vault.storage.credentials import secret_values
from overwinter.vault.storage.location import LocalLocation, parse_location


def of_environment() -> tuple[bytes, ...]:
    """The credentials of object stores that the service's environment holds."""
    return tuple(each for value in secret_values(None) for each in in_text(value))


def of_storage(url: str) -> tuple[bytes, ...]:
    """What the credentials file of a vault URL holds; nothing when it names none. Raises ``VaultError``."""
    location = parse_location(url)
    if isinstance(location, LocalLocation) or location.credentials is None:
        return ()
    return tuple(each for value in secret_values(location.credentials) for each in in_text(value))


def of_key(reference: str) -> tuple[bytes, ...]:
    """The key, passphrase or PIN at a reference, as it stands in its file and as the bytes it means.

    Raises ``RequestError``, ``VaultKeyWrong``.
    """
    return in_text(read_private_file(secret_file(reference), "Secret file"))


def in_text(text: str) -> tuple[bytes, ...]:
    """A secret as it is kept, and what else it can be: bytes as text, typed groups, a signature."""
    return (text.encode(), *_meanings(text))


def _meanings(text: str) -> Iterator[bytes]:
    if "sig=" in text:
        signature = text.partition("sig=")[2].partition("&")[0]
        yield from (signature.encode(), unquote(signature).encode())
    groups = text.replace("-", "")
    if groups != text:
        yield from (groups.encode(), text.lower().encode(), groups.lower().encode())
    for read in (bytes.fromhex, _base64, parse_recovery_key):
        try:
            yield read(text)
        except (ValueError, VaultKeyWrong):
            continue


def _base64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)  # its error is a ValueError too
