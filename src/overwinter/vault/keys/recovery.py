"""Recovery keys: 256 random bits to be printed, locked away and, on a bad day, typed.

Eight groups of eight characters: ``ABCDEFGH-…``. Each group is 4 bytes of the key and 1 check byte, which are
exactly eight characters of base32 (RFC 4648: without 0, 1, 8 and 9, which look like letters). The check byte
is a CRC-8 that begins with the group's number. Its polynomial x⁸+x⁴+x³+x+1 has no factors, so these mistakes
are always found: one mistyped character in a group, two characters of a group or two groups that changed
places. Of other mistakes in a group, 255 of 256 are.
"""

import base64
import os
import re
from itertools import takewhile

from overwinter.model.errors import VaultKeyWrong
from overwinter.vault.seal import KEY_LENGTH, Random

_GROUPS = 8
_GROUP_CHARACTERS = 8
_GROUP_BYTES = KEY_LENGTH // _GROUPS
_POLYNOMIAL = 0x11B

#: What can only be a slip of the eye; 1 could be I or L and is left to the person.
_LOOK_ALIKE = str.maketrans("08", "OB")

#: White space, and every dash that a printer or an editor may have made of ours.
_SEPARATORS = re.compile(r"[\s\-\u2010-\u2015\u2212]+")


def new_recovery_key(random: Random = os.urandom) -> str:
    """A new recovery key as text to print. It is stored nowhere."""
    secret = random(KEY_LENGTH)
    parts = [secret[at : at + _GROUP_BYTES] for at in range(0, KEY_LENGTH, _GROUP_BYTES)]
    checked = (part + bytes([_check(number, part)]) for number, part in enumerate(parts, 1))
    return "-".join(base64.b32encode(group).decode() for group in checked)


def parse_recovery_key(text: str) -> bytes:
    """The 32 bytes of a typed recovery key; letter case, dashes and white space do not matter.

    Raises ``VaultKeyWrong``, which names the groups that have mistakes, and never what was typed.
    """
    groups = [group for group in _SEPARATORS.split(text.upper().translate(_LOOK_ALIKE)) if group]
    if len(groups) != _GROUPS:  # typed with other gaps, or none
        joined = "".join(groups)
        groups = [joined[at : at + _GROUP_CHARACTERS] for at in range(0, len(joined), _GROUP_CHARACTERS)]
        if len(joined) != _GROUPS * _GROUP_CHARACTERS:
            right = takewhile(lambda part: part is not None, map(_group_bytes, range(1, _GROUPS + 1), groups))
            raise VaultKeyWrong(
                f"The recovery key has {len(joined)} characters instead of {_GROUPS * _GROUP_CHARACTERS}; "
                f"the first mistake is in group {len(list(right)) + 1} (each has {_GROUP_CHARACTERS})."
            )
    parts = [_group_bytes(number, group) for number, group in enumerate(groups, 1)]
    wrong = [str(number) for number, part in enumerate(parts, 1) if part is None]
    if wrong:
        raise VaultKeyWrong(
            f"The recovery key is mistyped in group {', '.join(wrong)} (of {_GROUPS}); "
            "its characters are A to Z and 2 to 7."
        )
    return b"".join(part for part in parts if part is not None)


def _group_bytes(number: int, group: str) -> bytes | None:
    """The key's bytes in a group, or null when it has a mistake."""
    if not re.fullmatch(f"[A-Z2-7]{{{_GROUP_CHARACTERS}}}", group):
        return None
    *part, check = base64.b32decode(group)
    return bytes(part) if check == _check(number, bytes(part)) else None


def _check(number: int, part: bytes) -> int:
    value = number
    for byte in part:
        value ^= byte
        for _ in range(8):
            value <<= 1
            if value > 0xFF:
                value ^= _POLYNOMIAL
    return value
