"""Reading files that hold a secret: only when nobody but their owner can read them."""

import os
import stat
from pathlib import Path

from overwinter.model.errors import VaultKeyWrong

#: No secret is longer, in bytes.
_MOST = 1024

_UNUSABLE = "C-KEY-UNUSABLE"


def read_private_file(path: Path | str, what: str) -> str:
    """The text of a small ASCII or UTF-8 file, without white space around it.

    ``what`` begins the messages ("Key file"). Raises ``VaultKeyWrong`` when the file cannot be read, is no
    regular file, has permissions for group or others, or holds no short text. No message shows its content.
    """
    name = f"{what} {path}"
    try:
        # O_NONBLOCK: a named pipe is to be refused, not waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            _check_private(name, path, os.fstat(descriptor).st_mode)
            content = os.read(descriptor, _MOST + 1)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise VaultKeyWrong(f"{name} cannot be read: {error.strerror}.", cause=_UNUSABLE) from error
    if len(content) > _MOST:
        raise VaultKeyWrong(f"{name} is longer than {_MOST} bytes.", cause=_UNUSABLE)
    try:
        return content.decode().strip()
    except UnicodeDecodeError:
        # Not "from" the cause: it holds the content.
        raise VaultKeyWrong(f"{name} holds no text.", cause=_UNUSABLE) from None


def _check_private(name: str, path: Path | str, mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise VaultKeyWrong(f"{name} is no regular file.", cause=_UNUSABLE)
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise VaultKeyWrong(
            f"{name} is open to others (mode {stat.S_IMODE(mode):04o}), so it may be no secret any more. Use "
            f"a new one, or close it if you are sure: chmod 600 {path}",
            cause=_UNUSABLE,
        )
