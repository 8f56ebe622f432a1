"""What callers give to open a vault, without knowing how each kind of secret works."""

import os
from pathlib import Path
from typing import NoReturn

from pydantic import ValidationError

from overwinter.model.errors import RequestError
from overwinter.model.protection import KeyKind
from overwinter.vault.keys.key_file import new_key_file, read_key_file
from overwinter.vault.keys.passphrase import DEFAULT_COST, Passphrase
from overwinter.vault.keys.random_key import RandomKey
from overwinter.vault.keys.recovery import parse_recovery_key
from overwinter.vault.keys.secret import Secret
from overwinter.vault.keys.token import TokenSecret
from overwinter.vault.keys.wrap import Argon2id, TokenKey
from overwinter.vault.seal import Random


class KeySource:
    """A secret somebody holds that opens a vault.

    It shows its kind only, and cannot be pickled: a durable workflow would write it to its database. It lies
    in this process's memory for as long as anything refers to it, and maybe longer: Python cannot erase
    memory, so no method pretends to.
    """

    def __init__(self, secret: Secret) -> None:
        self.secret = secret

    @property
    def kind(self) -> KeyKind:
        """What kind of secret it is."""
        return self.secret.kind

    @classmethod
    def from_passphrase(cls, text: str, *, cost: Argon2id = DEFAULT_COST) -> "KeySource":
        """A passphrase. ``cost`` is for wraps made with it; an existing wrap is opened at its own cost.

        Raises ``RequestError`` when it is empty.
        """
        return cls(Passphrase(text, cost))

    @classmethod
    def from_key_file(cls, path: Path | str) -> "KeySource":
        """A key file: 32 bytes as hexadecimal or base64 text, in a file that only its owner can read.

        Raises ``VaultKeyWrong`` when the file cannot be read, is open to others, or holds no key.
        """
        return cls(RandomKey(KeyKind.KEY_FILE, read_key_file(path)))

    @classmethod
    def new_key_file(cls, path: Path | str, random: Random = os.urandom) -> "KeySource":
        """Write a new random key to a new file that only its owner reads, durably.

        Raises ``AlreadyExists`` when the file is there already; it is not touched.
        """
        return cls(RandomKey(KeyKind.KEY_FILE, new_key_file(path, random)))

    @classmethod
    def from_recovery_key(cls, text: str) -> "KeySource":
        """A recovery key as typed. Raises ``VaultKeyWrong``, which names the groups that have mistakes."""
        return cls(RandomKey(KeyKind.RECOVERY, parse_recovery_key(text)))

    @classmethod
    def from_token(cls, *, module: Path | str, token_label: str, key_label: str, pin: str) -> "KeySource":
        """An RSA key on a PKCS#11 token. ``module`` is the absolute path of the token's library.

        The key should serve nothing else: who can have it sign any text opens the vault. ``pin`` comes from
        ``pin_from_file`` or ``pin_from_terminal``; a wrong one is tried once in this process. Raises
        ``RequestError`` when an argument cannot be right. The token is asked when the key is used
        (``TokenUnavailable``, ``TokenPinRefused``).
        """
        try:
            place = TokenKey(module=str(module), token=token_label, key=key_label)
        except ValidationError as error:
            wrong = ", ".join(str(fault["loc"][0]) for fault in error.errors())
            raise RequestError(
                f"These cannot be right for a token: {wrong}. The module is an absolute path, labels are "
                "printable text."
            ) from error
        return cls(TokenSecret(place, pin))

    def __repr__(self) -> str:
        return f"KeySource({self.kind.value})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled")
