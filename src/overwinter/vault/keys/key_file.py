"""Key files: 32 random bytes as one line of text, for the owner's eyes only."""

import base64
import binascii
import os
from pathlib import Path

from overwinter.model.errors import AlreadyExists, VaultKeyWrong
from overwinter.vault.keys.private_file import read_private_file
from overwinter.vault.seal import KEY_LENGTH, Random


def read_key_file(path: Path | str) -> bytes:
    """The key in a file, as hexadecimal or base64 text. Raises ``VaultKeyWrong``."""
    text = read_private_file(path, "Key file")
    try:
        # Not "from" the cause: it may hold the content.
        secret = bytes.fromhex(text) if len(text) == 2 * KEY_LENGTH else base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        message = f"Key file {path} holds no key: it must be hexadecimal or base64."
        raise VaultKeyWrong(message, cause="C-KEY-UNUSABLE") from None
    if len(secret) != KEY_LENGTH:
        message = f"Key file {path} holds {len(secret)} bytes; a key has {KEY_LENGTH}."
        raise VaultKeyWrong(message, cause="C-KEY-UNUSABLE")
    return secret


def new_key_file(path: Path | str, random: Random) -> bytes:
    """Write a new random key to a new file of mode 0600, durably; gives the key.

    Raises ``AlreadyExists`` when the file is there already; it is not touched.
    """
    secret = random(KEY_LENGTH)
    target = Path(path)
    try:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError as error:
        raise AlreadyExists(f"Key file {path} exists already; it was not changed.") from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(base64.b64encode(secret) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    directory = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
    return secret
