"""Who may open a vault: passphrases, key files, tokens and recovery keys that wrap its random data key.

Which file answers which question:

- ``source``: what a caller gives to open a vault; ``reference``: where it lies, in a line of text
- ``keyring``: what lies under ``keys/``, and opening the vault with it; ``change``: adding and removing
- ``wrap``: the bytes of one wrap; ``secret``: what a kind of secret must be able to do
- ``passphrase``, ``random_key``, ``token``: the kinds
- ``key_file``, ``recovery``, ``pin``, ``private_file``: how a person keeps a secret, and hands it in
"""

from overwinter.vault.keys.change import add_wrap, change_wrap, first_wrap, remove_wrap
from overwinter.vault.keys.keyring import (
    UnreadableWrap,
    check_key_object,
    unlock,
    unlock_without_config,
    wrap_name,
    wraps,
)
from overwinter.vault.keys.pin import pin_from_file, pin_from_terminal
from overwinter.vault.keys.recovery import new_recovery_key
from overwinter.vault.keys.reference import key_at, with_absolute_path
from overwinter.vault.keys.source import KeySource
from overwinter.vault.keys.wrap import Argon2id, TokenKey, Wrap

__all__ = [
    "Argon2id",
    "KeySource",
    "TokenKey",
    "UnreadableWrap",
    "Wrap",
    "add_wrap",
    "change_wrap",
    "check_key_object",
    "first_wrap",
    "key_at",
    "new_recovery_key",
    "pin_from_file",
    "pin_from_terminal",
    "remove_wrap",
    "unlock",
    "unlock_without_config",
    "with_absolute_path",
    "wrap_name",
    "wraps",
]
