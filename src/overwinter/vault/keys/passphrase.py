"""Passphrases: Argon2id makes every guess cost memory and time."""

import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager

from argon2.exceptions import HashingError
from argon2.low_level import Type, hash_secret_raw

from overwinter.model.errors import RequestError, VaultError
from overwinter.model.protection import KeyKind
from overwinter.vault.keys.secret import Derive
from overwinter.vault.keys.wrap import Argon2id, Wrap
from overwinter.vault.seal import KEY_LENGTH

#: RFC 9106 section 4, second recommended option: 64 MiB, 3 passes, 4 lanes.
DEFAULT_COST = Argon2id(memory_kib=64 * 1024, passes=3, lanes=4)


class Passphrase:
    """A passphrase in Unicode NFC. ``parameters`` is the cost of new wraps; a wrap is opened at its own."""

    kind = KeyKind.PASSPHRASE

    def __init__(self, text: str, cost: Argon2id) -> None:
        if not text:
            raise RequestError("The passphrase is empty; give at least one word.")
        try:
            self._secret = unicodedata.normalize("NFC", text).encode()
        except UnicodeEncodeError:
            # Not "from" the cause: it holds the passphrase.
            raise RequestError("The passphrase has characters that are no valid text.") from None
        self.parameters = cost

    @contextmanager
    def in_use(self) -> Iterator[Derive]:
        """See ``Secret``."""
        yield self._wrapping_key

    def _wrapping_key(self, wrap: Wrap) -> bytes:
        cost = wrap.parameters
        assert isinstance(cost, Argon2id), "a wrap of a passphrase has its cost"
        try:
            return hash_secret_raw(
                self._secret,
                wrap.salt,
                time_cost=cost.passes,
                memory_cost=cost.memory_kib,
                parallelism=cost.lanes,
                hash_len=KEY_LENGTH,
                type=Type.ID,
            )
        except HashingError as error:
            raise VaultError(
                f"The passphrase could not be tried with {cost.memory_kib // 1024} MiB of memory: {error}"
            ) from error
