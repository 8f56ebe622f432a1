"""What is known to be damaged: remembered in the vault, so that every process goes by it.

Two small objects, each written once:

- ``damaged/<pack>-<n>`` names segments of a pack that cannot be read. Their index records count as not
  there: sessions store such blobs anew, readers take another copy
- ``lost/<n>`` names blobs that recovery points need and that were in no pack when all were searched.
  Collection goes on without such chunks, increments look for them on the live disk
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from overwinter.model.errors import VaultDataCorrupt
from overwinter.vault import control
from overwinter.vault.control import Objects
from overwinter.vault.pack import PACK_ID_LENGTH
from overwinter.vault.seal import ObjectKind
from overwinter.vault.table import Keys

DAMAGED = "damaged/"
LOST = "lost/"

#: Blobs that one object names (2 MiB of JSON).
_BLOBS = 64 * 1024


@dataclass(frozen=True)
class LostBlobs:
    """The ids of chunks, and of pages, that an object ``lost/<n>`` names."""

    chunks: Keys
    pages: Keys


def put_damaged(vault: Objects, pack: bytes, offsets: Iterable[int]) -> None:
    """Remember segments of a pack, by the offsets of their frames, as damaged."""
    name = f"{DAMAGED}{pack.hex()}-{vault.random(8).hex()}"
    control.put(vault, ObjectKind.DAMAGE, name, {"segments": sorted(offsets)})


def get_damaged(vault: Objects, name: str) -> tuple[bytes, list[int]]:
    """A pack and offsets of its damaged segments. Raises ``VaultObjectMissing`` and ``VaultDataCorrupt``."""
    value = control.get(vault, ObjectKind.DAMAGE, name)
    offsets = value.get("segments")
    if not isinstance(offsets, list) or not all(isinstance(at, int) and 0 <= at < 1 << 32 for at in offsets):
        raise VaultDataCorrupt(f"Vault object {name} is damaged: it names no segments.")
    return damaged_pack(name), offsets


def damaged_pack(name: str) -> bytes:
    """The pack that an object ``damaged/…`` is about. Raises ``VaultDataCorrupt``."""
    try:
        pack = bytes.fromhex(name.removeprefix(DAMAGED).partition("-")[0])
    except ValueError:
        pack = b""
    if len(pack) != PACK_ID_LENGTH:
        raise VaultDataCorrupt(f"Vault object {name} does not belong here: it names no pack.")
    return pack


def put_lost(vault: Objects, chunks: Keys, pages: Keys) -> None:
    """Remember blobs as lost, after all packs were searched for them."""
    for begin in range(0, max(len(chunks), len(pages)), _BLOBS):
        part = slice(begin, begin + _BLOBS)
        value = {"chunks": _text(chunks, part), "pages": _text(pages, part)}
        control.put(vault, ObjectKind.DAMAGE, f"{LOST}{vault.random(8).hex()}", value)


def get_lost(vault: Objects, name: str) -> LostBlobs:
    """The blobs that an object names. Raises ``VaultObjectMissing`` and ``VaultDataCorrupt``."""
    value = control.get(vault, ObjectKind.DAMAGE, name)
    try:
        return LostBlobs(*(_keys(control.text(value, field)) for field in ("chunks", "pages")))
    except ValueError as error:
        raise VaultDataCorrupt(f"Vault object {name} is damaged: {error}") from error


def _text(keys: Keys, part: slice) -> str:
    return np.stack([keys.high[part], keys.low[part]], axis=1).astype(">u8").tobytes().hex()


def _keys(text: str) -> Keys:
    return Keys.of(bytes.fromhex(text))
