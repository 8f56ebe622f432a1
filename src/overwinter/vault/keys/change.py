"""Adding, changing and removing wraps of a vault. No data is touched: every wrap holds the same data key.

A wrap is added only when the new secret opens it, and removed only by a secret that opens another one: that
the vault stays open to somebody is proved by use. A crash leaves every wrap that was there, perhaps with the
new one, or all but the removed one.

Two removals at once, each relying on the wrap that the other removes, must not both succeed. So a removal
first puts a mark beside the wrap, then looks for marks, then reads the wrap it relies on; wraps go before
their marks. Of any circle of removals one sees the mark of another, or that its wrap has gone.
"""

import os
from datetime import datetime
from uuid import UUID

from pydantic import ValidationError

from overwinter.model.errors import NotFound, RequestError, VaultKeyWrong
from overwinter.vault.keys.keyring import read_keyring, unlock, wrap_name
from overwinter.vault.keys.secret import Derive
from overwinter.vault.keys.source import KeySource
from overwinter.vault.keys.wrap import WRAP_SALT_LENGTH, StoredWrap, Wrap, parse_wrap, seal_wrap
from overwinter.vault.seal import Random
from overwinter.vault.storage import Storage

#: A vault gets no more wraps than this.
_MOST_WRAPS = 32


def add_wrap(
    storage: Storage,
    key: KeySource,
    new_key: KeySource,
    *,
    label: str,
    created: datetime,
    random: Random = os.urandom,
) -> Wrap:
    """Let ``new_key`` open the vault too. ``key`` is any secret that opens it.

    ``label`` (up to 100 printable characters) and ``created`` are readable to whoever sees the storage. When
    ``new_key`` opens the vault already, its wrap is given and nothing is written, so a call that was
    interrupted is simply made again. Raises as ``open_vault``, and ``RequestError`` when the label is not
    possible or there are too many wraps; nothing was changed then.
    """
    opened = unlock(storage, key)
    ring = read_keyring(storage)
    with new_key.secret.in_use() as derive:
        for stored in ring.stored:
            if (
                stored.wrap.kind is new_key.kind
                and stored.wrap.id not in ring.removals
                and stored.open(derive(stored.wrap)) == opened.data_key
            ):
                return stored.wrap
        if len(ring.ids) >= _MOST_WRAPS:
            raise RequestError(f"The vault has {len(ring.ids)} wraps; remove one that nobody uses.")
        vault = opened.stored.wrap.vault
        added = _new_wrap(new_key, derive, opened.data_key, vault, label, created, random)
    storage.put(wrap_name(added.wrap.id), [added.content])
    return added.wrap


def remove_wrap(storage: Storage, key: KeySource, wrap_id: str, *, random: Random = os.urandom) -> None:
    """Take a wrap away, so that its secret no longer opens the vault. ``key`` must open another wrap.

    Whoever has the data key, or the secret and a copy of the storage from before, keeps their access. A
    removal that was interrupted is simply made again. Raises as ``open_vault``, ``NotFound`` when there is no
    such wrap, and ``RequestError`` when ``key`` opens no other wrap or that one is being removed; nothing was
    changed then.
    """
    ring = read_keyring(storage)
    if wrap_id not in ring.ids | ring.removals.keys():
        raise NotFound(f"The vault has no wrap {wrap_id}.")
    others = [marked for marked in ring.removals if marked != wrap_id]
    proof = unlock(storage, key, last=[*others, wrap_id]).stored
    if proof.wrap.id == wrap_id:
        raise RequestError(
            f"Wrap {wrap_id} is the only one that this key opens. Give a key that opens another wrap, so "
            "that the vault does not become closed to everybody; add one first if there is none."
        )
    mark = f"{wrap_name(wrap_id)}.{random(4).hex()}.removal"
    storage.put(mark, [b"\n"])
    ring = read_keyring(storage)
    if proof not in ring.stored or proof.wrap.id in ring.removals:
        storage.delete([mark])
        raise RequestError(
            f"Wrap {proof.wrap.id}, which this key opens, is being removed itself, or its removal was broken "
            "off. Give a key that opens another wrap (add one if there is none), or complete that removal."
        )
    storage.delete([wrap_name(wrap_id)])
    _delete_idle_marks(storage)


def change_wrap(
    storage: Storage,
    key: KeySource,
    wrap_id: str,
    new_key: KeySource,
    *,
    label: str,
    created: datetime,
    random: Random = os.urandom,
) -> Wrap:
    """Put a wrap for ``new_key`` in the place of the wrap ``wrap_id``: add, then remove.

    Raises as ``add_wrap`` and ``remove_wrap``. When the second step fails, both wraps are there.
    """
    if wrap_id not in read_keyring(storage).ids:
        raise NotFound(f"The vault has no wrap {wrap_id}.")
    wrap = add_wrap(storage, key, new_key, label=label, created=created, random=random)
    remove_wrap(storage, new_key, wrap_id, random=random)
    return wrap


def first_wrap(
    key: KeySource, data_key: bytes, vault: UUID, label: str, created: datetime | None, random: Random
) -> StoredWrap:
    """The wrap of a vault that is being made, not stored yet. Raises ``RequestError`` for the label."""
    with key.secret.in_use() as derive:
        return _new_wrap(key, derive, data_key, vault, label, created, random)


def _new_wrap(
    key: KeySource,
    derive: Derive,
    data_key: bytes,
    vault: UUID,
    label: str,
    created: datetime | None,
    random: Random,
) -> StoredWrap:
    try:
        wrap = Wrap(
            id=random(8).hex(),
            vault=vault,
            kind=key.kind,
            label=label,
            created=created,
            salt=random(WRAP_SALT_LENGTH),
            parameters=key.secret.parameters,
        )
    except ValidationError as error:
        raise RequestError(
            "A label has up to 100 printable characters, and the time of a wrap says its zone."
        ) from error
    stored = parse_wrap(wrap.id, seal_wrap(wrap, derive(wrap), data_key))
    # Derived anew: a token that signs differently each time would make a wrap that never opens.
    if stored.open(derive(wrap)) != data_key:
        raise VaultKeyWrong("This key does not open the wrap just made with it, so it was not stored.")
    return stored


def _delete_idle_marks(storage: Storage) -> None:
    ring = read_keyring(storage)
    gone = ring.removals.keys() - ring.ids
    storage.delete([mark for wrap_id in gone for mark in ring.removals[wrap_id]])
