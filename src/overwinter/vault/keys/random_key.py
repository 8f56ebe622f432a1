"""Secrets of 256 random bits, as key files and recovery keys are: no guess needs to be made dear."""

from collections.abc import Iterator
from contextlib import contextmanager

from overwinter.model.protection import KeyKind
from overwinter.vault.keys.secret import Derive, stretch
from overwinter.vault.keys.wrap import Wrap
from overwinter.vault.seal import KEY_LENGTH


class RandomKey:
    """32 random bytes; ``kind`` says in what form a person keeps them."""

    parameters = None

    def __init__(self, kind: KeyKind, secret: bytes) -> None:
        if len(secret) != KEY_LENGTH:
            raise ValueError(f"a random key has {KEY_LENGTH} bytes")
        self.kind = kind
        self._secret = secret

    @contextmanager
    def in_use(self) -> Iterator[Derive]:
        """See ``Secret``."""
        yield self._wrapping_key

    def _wrapping_key(self, wrap: Wrap) -> bytes:
        return stretch(self._secret, wrap)
