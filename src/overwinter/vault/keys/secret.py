"""What every kind of secret has in common: it turns a wrap's salt into the key that opens the wrap."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from overwinter.model.protection import KeyKind
from overwinter.vault.keys.wrap import Argon2id, TokenKey, Wrap
from overwinter.vault.seal import KEY_LENGTH

#: Gives the wrapping key of a wrap, whether or not the secret is the one the wrap was made for.
Derive = Callable[[Wrap], bytes]


class Secret(Protocol):
    """One secret of one kind. Its ``repr`` must not show it."""

    @property
    def kind(self) -> KeyKind:
        """Which wraps it can open at all."""

    @property
    def parameters(self) -> Argon2id | TokenKey | None:
        """What a new wrap for this secret tells everybody."""

    def in_use(self) -> AbstractContextManager[Derive]:
        """Make the secret ready (a token logs in once) for as many wraps as are tried meanwhile."""


def stretch(secret: bytes, wrap: Wrap) -> bytes:
    """The wrapping key from a secret that cannot be guessed: HKDF-SHA256 with the wrap's salt."""
    info = b"overwinter vault key 1 " + wrap.kind.value.encode()
    return HKDF(algorithm=SHA256(), length=KEY_LENGTH, salt=wrap.salt, info=info).derive(secret)
