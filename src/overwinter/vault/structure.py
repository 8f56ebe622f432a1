"""Does every object of a vault open, and do packs and index agree?"""

from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from overwinter.model.errors import VaultDataCorrupt, VaultFormatUnsupported, VaultObjectMissing
from overwinter.vault import control
from overwinter.vault.blobs import BlobStore
from overwinter.vault.config import CONFIG, open_config
from overwinter.vault.damage import DAMAGED, LOST, get_damaged, get_lost
from overwinter.vault.directory import pack_of, read_directory
from overwinter.vault.index import Index, read_table
from overwinter.vault.keys import check_key_object
from overwinter.vault.manifest import MANIFESTS, Manifest, open_manifest
from overwinter.vault.pack import pack_id
from overwinter.vault.seal import ObjectKind
from overwinter.vault.storage import StoredObject
from overwinter.vault.table import EMPTY, Keys, Table, merged, numbered
from overwinter.vault.workers import ordered_map, worker_count

#: What reading a damaged object raises.
DAMAGES = (VaultDataCorrupt, VaultFormatUnsupported)

#: Told of an object: its name, what is wrong, and whether that touches nothing that is needed.
Note = Callable[[str, str, bool], object]


@dataclass(frozen=True)
class Structure:
    """The objects of a vault, as far as they open.

    ``objects`` looked at. ``suspicious`` packs do not tell what they hold. ``unindexed`` are blobs that packs
    hold and the index lacks, ``gone`` records of packs that are not there.
    """

    objects: int
    manifests: dict[str, Manifest]
    packs: dict[bytes, StoredObject]
    suspicious: set[bytes] = field(default_factory=set)
    unindexed: Table = EMPTY
    gone: Index = field(default_factory=Index)


@dataclass(frozen=True)
class PackCheck:
    """A pack: why it does not tell what it holds, where the index differs, and what the index lacks."""

    pack: bytes
    damage: str | None = None
    differs: bool = False
    unindexed: Keys | None = None


def check_objects(blobs: BlobStore, note: Note) -> Structure:
    """Open every object and compare packs with the index.

    Objects that vanish meanwhile are no damage.
    """
    storage = blobs.storage
    listed = storage.list("")
    packs = {pack: stored for stored in listed if (pack := pack_id(stored.name)) is not None}
    manifests: dict[str, Manifest] = {}
    gone = Index()
    for stored in listed:
        name = stored.name
        if name.startswith("packs/") and pack_id(name) is not None:
            continue
        try:
            if name.startswith("index/"):
                gone.add(read_table(storage, blobs.keys, name))
                gone.forget(set(packs))
            elif name.startswith(MANIFESTS):
                manifest = open_manifest(blobs.keys, name, storage.get(name))
                if manifest is not None:
                    manifests[name] = manifest
            elif not _opens(blobs, stored):
                note(name, "does not belong to the vault", True)
        except VaultObjectMissing:
            continue
        except DAMAGES as error:
            note(name, error.message, False)
    suspicious, unindexed = check_packs(blobs, packs.values(), note)
    return Structure(len(listed), manifests, packs, suspicious, unindexed, gone)


def check_packs(blobs: BlobStore, packs: Iterable[StoredObject], note: Note) -> tuple[set[bytes], Table]:
    """Compare packs with the index; gives those that do not tell what they hold, and what the index lacks."""
    suspicious = set()
    unindexed = [EMPTY]
    packs = list(packs)
    results = ordered_map(partial(_check_pack, blobs), packs, worker_count())
    with closing(results):
        for stored, found in zip(packs, results, strict=True):
            if found.unindexed is not None:
                unindexed.append(numbered(found.unindexed))
            if found.damage is not None:
                suspicious.add(found.pack)
                note(stored.name, f"{found.damage} (only repair needs what is there)", True)
            if found.differs:
                note(stored.name, "the index says other places than the pack itself", False)
    return suspicious, merged(unindexed)


def _check_pack(blobs: BlobStore, stored: StoredObject) -> PackCheck:
    pack = pack_of(stored)
    try:
        entries = read_directory(blobs, stored)
    except VaultObjectMissing:
        return PackCheck(pack)
    except DAMAGES as error:
        return PackCheck(pack, damage=error.message)
    keys = Keys.of(b"".join(entry.id for entry in entries))
    offsets = np.array([entry.offset for entry in entries], np.uint32)
    extents = np.array([entry.extent for entry in entries], np.uint32)
    places = blobs.index.find_keys(keys)
    trusted = ~blobs.index.distrusted(pack, offsets)
    here = trusted & places.found & (places.pack == int.from_bytes(pack, "big"))
    differs = here & ((places.offset != offsets) | (places.extent != extents))
    return PackCheck(pack, differs=bool(differs.any()), unindexed=keys.take(trusted & ~places.found))


def _opens(blobs: BlobStore, stored: StoredObject) -> bool:
    """Open one of the small objects; gives false when it is none."""
    name = stored.name
    if name == CONFIG:
        open_config(blobs.keys, blobs.storage.get(name))
    elif name.startswith("keys/"):
        return check_key_object(blobs.storage, stored)
    elif name.startswith(DAMAGED):
        get_damaged(blobs, name)
    elif name.startswith(LOST):
        get_lost(blobs, name)
    else:
        kind = KINDS.get(name.partition("/")[0])
        if kind is None:
            return False
        control.get(blobs, kind, name)
    return True


#: Small sealed objects by the first part of their names.
KINDS = {
    "sessions": ObjectKind.SESSION,
    "collections": ObjectKind.COLLECTION,
    "deleted": ObjectKind.MARK,
    "locks": ObjectKind.MARK,
    "rules": ObjectKind.MARK,
}
