"""Where a token's PIN may come from: its owner's file, or the terminal; never arguments or environment."""

import getpass
import warnings
from pathlib import Path

from overwinter.model.errors import VaultKeyWrong
from overwinter.vault.keys.private_file import read_private_file


def pin_from_file(path: Path | str) -> str:
    """The PIN in a file that only its owner can read. Raises ``VaultKeyWrong``."""
    return read_private_file(path, "PIN file")


def pin_from_terminal(token_label: str) -> str:
    """Ask for a token's PIN on the terminal of this process, without showing what is typed.

    Raises ``VaultKeyWrong`` when there is no terminal or nothing is typed.
    """
    try:
        with warnings.catch_warnings():
            # Without a terminal getpass would warn and read standard input in the open.
            warnings.simplefilter("error", getpass.GetPassWarning)
            return getpass.getpass(f"PIN of token {token_label}: ")
    except (getpass.GetPassWarning, EOFError, OSError) as error:
        raise VaultKeyWrong(
            "The PIN cannot be asked for: there is no terminal. Give a PIN file instead."
        ) from error
