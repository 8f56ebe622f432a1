"""What lies under ``keys/``, and opening a vault with one secret of whoever holds one.

Any wrap opens the vault, and damage to one keeps no other from doing so. Objects here are read before any key
is known, so their number and length are bounded.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from overwinter.model.errors import (
    VaultDataCorrupt,
    VaultFormatUnsupported,
    VaultKeyWrong,
    VaultObjectMissing,
)
from overwinter.model.protection import KeyKind
from overwinter.vault.keys.source import KeySource
from overwinter.vault.keys.wrap import LONGEST_WRAP, StoredWrap, Wrap, parse_wrap
from overwinter.vault.seal import HEADER_LENGTH, ObjectKind, VaultKeys, check_header, open_object
from overwinter.vault.storage import Storage

CONFIG = "config"

#: More wraps than this are not read: a stranger's may cost a second each. Twice as many as a writer makes.
_MOST_READ = 64

_WRAP_NAME = re.compile("keys/([0-9a-f]{16})")
_REMOVAL_NAME = re.compile("keys/([0-9a-f]{16})[.][0-9a-f]{8}[.]removal")

_WORDS = {
    KeyKind.PASSPHRASE: "passphrase",
    KeyKind.KEY_FILE: "key file",
    KeyKind.TOKEN: "token",
    KeyKind.RECOVERY: "recovery key",
}


@dataclass(frozen=True)
class UnreadableWrap:
    """A wrap that is damaged or of another version, and why it was not read."""

    id: str
    reason: str


@dataclass(frozen=True)
class Keyring:
    """What was found under ``keys/``: wraps, and the marks of removals by the id of the wrap they concern."""

    stored: tuple[StoredWrap, ...]
    unreadable: tuple[UnreadableWrap, ...]
    removals: dict[str, list[str]]

    @property
    def ids(self) -> set[str]:
        """Of all wraps, readable or not."""
        return {stored.wrap.id for stored in self.stored} | {wrap.id for wrap in self.unreadable}


@dataclass(frozen=True)
class Opened:
    """An open vault: the wrap that opened it, the data key, the content of ``config``."""

    stored: StoredWrap
    data_key: bytes = field(repr=False)
    config: bytes


def wrap_name(wrap_id: str) -> str:
    """Object name of a wrap."""
    return f"keys/{wrap_id}"


def wraps(storage: Storage) -> list[Wrap | UnreadableWrap]:
    """All wraps of a vault by id; no key is needed, and nothing secret is in them.

    They are as trustworthy as the storage. Raises ``VaultError`` when it does not answer, and
    ``VaultDataCorrupt`` when there are more wraps than a vault can have.
    """
    ring = read_keyring(storage)
    return sorted((*(stored.wrap for stored in ring.stored), *ring.unreadable), key=lambda wrap: wrap.id)


def read_keyring(storage: Storage) -> Keyring:
    """List ``keys/``, then read every wrap; errors as ``wraps``."""
    found, removals = {}, dict[str, list[str]]()
    for listed in storage.list("keys/"):
        if match := _WRAP_NAME.fullmatch(listed.name):
            found[match[1]] = listed.size
        elif match := _REMOVAL_NAME.fullmatch(listed.name):
            removals.setdefault(match[1], []).append(listed.name)
    if len(found) > _MOST_READ:
        raise VaultDataCorrupt(
            f"The vault has {len(found)} wraps under keys/; more than {_MOST_READ} cannot be its own. Remove "
            "those that do not belong to it."
        )
    stored, unreadable = [], []
    for wrap_id, size in found.items():
        try:
            stored.append(_read(storage, wrap_id, size))
        except VaultObjectMissing:
            continue  # removed since the listing
        except (VaultDataCorrupt, VaultFormatUnsupported) as error:
            unreadable.append(UnreadableWrap(wrap_id, error.message))
    return Keyring(tuple(stored), tuple(unreadable), removals)


def unlock(storage: Storage, key: KeySource, *, last: Sequence[str] = ()) -> Opened:
    """Open a vault with the first wrap that ``key`` opens; those with the ids ``last`` are tried last.

    Raises ``VaultObjectMissing`` when there is no ``config``, ``VaultFormatUnsupported`` when it is of
    another version, ``VaultKeyWrong`` when no wrap opens, ``VaultDataCorrupt`` when damage is the likelier
    reason for that or ``config`` is damaged, and what a token raises.
    """
    config = storage.get(CONFIG)
    check_header(ObjectKind.CONFIG, CONFIG, config[:HEADER_LENGTH])
    ring = read_keyring(storage)
    candidates = [stored for stored in ring.stored if stored.wrap.kind is key.kind]
    candidates.sort(key=lambda stored: last.index(stored.wrap.id) if stored.wrap.id in last else -1)
    if not candidates:
        raise _refusal(key.kind, ring)
    misfit: VaultDataCorrupt | None = None
    with key.secret.in_use() as derive:
        for stored in candidates:
            data_key = stored.open(derive(stored.wrap))
            if data_key is None:
                continue
            try:
                # A creation of this vault that died may have left a wrap of a data key that was never used.
                keys = VaultKeys(data_key, stored.wrap.vault)
                return Opened(stored, data_key, open_object(keys, ObjectKind.CONFIG, CONFIG, config))
            except VaultDataCorrupt as error:
                misfit = error
    raise misfit or _refusal(key.kind, ring)


def _read(storage: Storage, wrap_id: str, size: int) -> StoredWrap:
    if not 0 < size <= LONGEST_WRAP:
        raise VaultDataCorrupt(f"it has {size} bytes")
    return parse_wrap(wrap_id, storage.get_range(wrap_name(wrap_id), 0, size))


def _refusal(kind: KeyKind, ring: Keyring) -> VaultKeyWrong | VaultDataCorrupt:
    """Why nothing opened, naming the wraps that could not even be tried."""
    kinds = sorted({stored.wrap.kind for stored in ring.stored})
    unreadable = "; ".join(f"{wrap_name(wrap.id)}: {wrap.reason}" for wrap in ring.unreadable)
    if kind in kinds:
        text = f"This {_WORDS[kind]} does not open the vault."
    elif kinds:
        others = ", ".join(_WORDS[other] for other in kinds)
        text = f"The vault does not open with a {_WORDS[kind]}, but with: {others}."
    else:
        text = "The vault has no wrap of its key that can be read, so nothing opens it."
    if unreadable:
        text += f" These wraps could not be tried: {unreadable}."
    return VaultDataCorrupt(text) if kind not in kinds and (unreadable or not kinds) else VaultKeyWrong(text)
