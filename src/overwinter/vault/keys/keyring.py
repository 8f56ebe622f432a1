"""What lies under ``keys/``, and opening a vault with one secret of whoever holds one.

Any wrap opens the vault, and damage to one keeps no other from doing so. Objects here are read before any key
is known, so their number and length are bounded.
"""

import re
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from overwinter.model.errors import (
    VaultDataCorrupt,
    VaultFormatUnsupported,
    VaultKeyWrong,
    VaultObjectMissing,
)
from overwinter.model.protection import KeyKind
from overwinter.vault.config import CONFIG, open_config
from overwinter.vault.keys.source import KeySource
from overwinter.vault.keys.wrap import LONGEST_WRAP, StoredWrap, Wrap, parse_wrap
from overwinter.vault.seal import HEADER_LENGTH, ObjectKind, VaultKeys, check_header
from overwinter.vault.storage import Storage, StoredObject

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
    """An open vault: the wrap that opened it, the data key, the chunk size that ``config`` tells."""

    stored: StoredWrap
    data_key: bytes = field(repr=False)
    chunk_size: int


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
    misfit: VaultDataCorrupt | None = None
    with closing(_unwrapped(ring, key, last)) as found:
        for stored, data_key in found:
            try:
                # A creation of this vault that died may have left a wrap of a data key that was never used.
                keys = VaultKeys(data_key, stored.wrap.vault)
                return Opened(stored, data_key, open_config(keys, config))
            except VaultDataCorrupt as error:
                misfit = error
    raise misfit or _refusal(key.kind, ring)


def unlock_without_config(storage: Storage, key: KeySource) -> list[VaultKeys]:
    """The keys in all wraps that ``key`` opens, each once, for repair only.

    They may be of creations of this vault that died; only an object that one of them opens tells which one
    is the vault's. Raises ``VaultKeyWrong`` and ``VaultDataCorrupt`` as ``unlock`` when no wrap opens.
    """
    ring = read_keyring(storage)
    with closing(_unwrapped(ring, key)) as found:
        distinct = dict.fromkeys((data_key, stored.wrap.vault) for stored, data_key in found)
    if not distinct:
        raise _refusal(key.kind, ring)
    return [VaultKeys(data_key, vault) for data_key, vault in distinct]


def check_key_object(storage: Storage, listed: StoredObject) -> bool:
    """Whether an object under ``keys/`` belongs there; no key is needed.

    Raises ``VaultDataCorrupt`` and ``VaultFormatUnsupported`` for a wrap that cannot be read, and
    ``VaultObjectMissing``.
    """
    match = _WRAP_NAME.fullmatch(listed.name)
    if match is None:
        return _REMOVAL_NAME.fullmatch(listed.name) is not None
    try:
        _read(storage, match[1], listed.size)
    except VaultObjectMissing:
        raise
    except (VaultDataCorrupt, VaultFormatUnsupported) as error:
        raise type(error)(f"Vault object {listed.name} cannot be read: {error.message}.") from error
    return True


def _unwrapped(
    ring: Keyring, key: KeySource, last: Sequence[str] = ()
) -> Generator[tuple[StoredWrap, bytes]]:
    """The wraps that ``key`` opens, with what is in them; those with the ids ``last`` come last."""
    candidates = [stored for stored in ring.stored if stored.wrap.kind is key.kind]
    candidates.sort(key=lambda stored: last.index(stored.wrap.id) if stored.wrap.id in last else -1)
    if not candidates:
        return  # a token is not even asked
    with key.secret.in_use() as derive:
        for stored in candidates:
            data_key = stored.open(derive(stored.wrap))
            if data_key is not None:
                yield stored, data_key


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
    if kind not in kinds and (unreadable or not kinds):
        return VaultDataCorrupt(text)
    return VaultKeyWrong(text, cause=None if unreadable else "C-KEY-OTHER")
