"""One open vault: recovery points, sessions that add them, restores, deletion and collection."""

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from overwinter.model.errors import (
    AlreadyExists,
    NotFound,
    VaultDataCorrupt,
    VaultError,
    VaultObjectMissing,
)
from overwinter.vault import restore
from overwinter.vault.blobs import BlobStore
from overwinter.vault.collect import CollectStats, collect
from overwinter.vault.diskmap import DiskMap
from overwinter.vault.index import read_table
from overwinter.vault.keys import KeySource, unlock
from overwinter.vault.manifest import Manifest, manifest_object, open_manifest
from overwinter.vault.seal import (
    HEADER_LENGTH,
    KEY_LENGTH,
    ObjectKind,
    Random,
    VaultKeys,
    check_header,
    open_object,
    seal_object,
)
from overwinter.vault.session import CheckCancelled, Progress, Session
from overwinter.vault.storage import ReadCache, Storage, open_storage

DEFAULT_CHUNK_SIZE = 256 * 1024

#: Chunk sizes that a vault may have, in bytes; a power of two between these.
_CHUNK_SIZES = (4 * 1024, 4 * 1024 * 1024)

_CONFIG = "config"


class VaultStore:
    """Made by ``create_vault`` and ``open_vault``. Methods may be called from several threads.

    Methods that read stored objects raise ``VaultDataCorrupt`` and ``VaultObjectMissing`` when these are
    damaged or gone, and ``VaultError`` when the storage does not answer.
    """

    def __init__(self, blobs: BlobStore, chunk_size: int) -> None:
        self.vault_id = blobs.keys.vault_id
        self.chunk_size = chunk_size
        self._blobs = blobs
        self._collection = threading.Lock()

    def manifests(self) -> list[Manifest]:
        """Every recovery point, oldest first."""
        names = [stored.name for stored in self._blobs.storage.list("manifests/")]
        return sorted(map(self._manifest, names), key=lambda manifest: (manifest.created, manifest.point_id))

    def manifest(self, point_id: str) -> Manifest:
        """One recovery point. Raises ``NotFound``."""
        name = manifest_object(self._blobs.keys, point_id)
        try:
            return self._manifest(name)
        except VaultObjectMissing as error:
            raise NotFound(f"The vault has no recovery point {point_id}.") from error

    def delete_manifest(self, point_id: str) -> None:
        """Delete a recovery point; no error when it is gone already. ``collect`` frees the space."""
        self._blobs.storage.delete([manifest_object(self._blobs.keys, point_id)])

    def collect(self) -> CollectStats:
        """Remove every pack that no recovery point needs.

        Sessions of this process may go on meanwhile; no other process may write to the vault. Raises
        ``VaultDataCorrupt`` when a recovery point cannot be read, and removes nothing then.
        """
        with self._collection:
            return collect(
                self._blobs, (disk.map for manifest in self._each_manifest() for disk in manifest.disks)
            )

    @contextmanager
    def session(
        self, progress: Progress | None = None, cancelled: CheckCancelled | None = None
    ) -> Iterator[Session]:
        """A session that adds one recovery point.

        ``progress`` is told the bytes read so far, in the calling thread. ``cancelled`` is called often, from
        any thread, and raises (``JobCancelled``) when the work must stop.
        """
        with self._blobs.pinned() as pins:
            session = Session(self._blobs, pins, self.chunk_size, progress, cancelled)
            try:
                yield session
            finally:
                session.close()

    def restore_disk(
        self,
        disk: DiskMap,
        write: restore.WriteDisk,
        *,
        target: str,
        progress: Progress | None = None,
        cancelled: CheckCancelled | None = None,
    ) -> None:
        """Give every chunk of a disk that is not zero to ``write(offset, data)``.

        ``write`` is called from several threads, in any order, with disjoint ranges; data is verified before.
        Ranges of zeros are not written: the target must read as zeros. ``progress`` is told the bytes
        written so far, in the calling thread; ``cancelled`` as in ``session``.
        """
        restore.restore_disk(self._blobs, disk, write, target, progress, cancelled)

    def data_size(self, disk: DiskMap) -> int:
        """How many bytes ``restore_disk`` will write: those of the chunks that are not zero."""
        return restore.data_size(self._blobs, disk)

    def read_range(self, disk: DiskMap, offset: int, length: int) -> bytes:
        """``length`` verified bytes of a disk from ``offset``. Raises ``ValueError`` outside the disk."""
        return restore.read_range(self._blobs, disk, offset, length)

    def close(self) -> None:
        """Forget the index; the store must not be used afterwards."""
        self._blobs.index.tables = ()

    def _manifest(self, name: str) -> Manifest:
        return open_manifest(self._blobs.keys, name, self._blobs.storage.get(name))

    def _each_manifest(self) -> Iterator[Manifest]:
        for stored in self._blobs.storage.list("manifests/"):
            yield self._manifest(stored.name)


def create_vault(
    url: str,
    key: KeySource,
    *,
    vault_id: UUID,
    chunk_size: int = DEFAULT_CHUNK_SIZE,
    random: Random = os.urandom,
) -> VaultStore:
    """Make a new vault in an empty or missing directory and open it.

    ``chunk_size`` is a power of two from 4 KiB to 4 MiB and cannot be changed later. Raises
    ``AlreadyExists`` when the directory is not empty; nothing was changed then.
    """
    return create_vault_on(open_storage(url), url, key, vault_id, chunk_size, random)


def open_vault(url: str, key: KeySource, cache: ReadCache | None = None) -> VaultStore:
    """Open a vault; one in an object store is read through ``cache``.

    Raises ``VaultKeyWrong`` before anything else is read, ``VaultFormatUnsupported``, ``VaultDataCorrupt``,
    and ``VaultError`` when there is no vault.
    """
    return open_vault_on(open_storage(url, cache), url, key)


def create_vault_on(
    storage: Storage,
    url: str,
    key: KeySource,
    vault_id: UUID,
    chunk_size: int = DEFAULT_CHUNK_SIZE,
    random: Random = os.urandom,
) -> VaultStore:
    """``create_vault`` on an open storage; ``url`` is for messages."""
    if chunk_size & (chunk_size - 1) or not _CHUNK_SIZES[0] <= chunk_size <= _CHUNK_SIZES[1]:
        raise ValueError(f"chunk size {chunk_size} is no power of two from 4 KiB to 4 MiB")
    names = [stored.name for stored in storage.list("")]
    if any(not name.startswith("keys/") for name in names):
        raise AlreadyExists(f"{url} is not empty; give a new directory for the vault.")
    storage.delete(names)  # keys without a config: a creation that died before its end
    data_key = random(KEY_LENGTH)
    storage.put(f"keys/{random(8).hex()}", [key.wrap(data_key, vault_id, random)])
    keys = VaultKeys(data_key, vault_id)
    config = json.dumps({"chunk_size": chunk_size}).encode()
    storage.put(_CONFIG, [seal_object(keys.new_cipher(ObjectKind.CONFIG, _CONFIG, random), config)])
    return VaultStore(BlobStore(storage, keys, random), chunk_size)


def open_vault_on(storage: Storage, url: str, key: KeySource, random: Random = os.urandom) -> VaultStore:
    """``open_vault`` on an open storage; ``url`` is for messages."""
    blobs, chunk_size = unlocked(storage, url, key, random)
    for stored in storage.list("index/"):
        blobs.index.add(read_table(storage, blobs.keys, stored.name))
    return VaultStore(blobs, chunk_size)


def unlocked(storage: Storage, url: str, key: KeySource, random: Random) -> tuple[BlobStore, int]:
    """A vault without its index, and its chunk size; errors as ``open_vault``."""
    try:
        stored = storage.get(_CONFIG)
    except VaultObjectMissing as error:
        raise VaultError(f"There is no vault at {url}.") from error
    check_header(ObjectKind.CONFIG, _CONFIG, stored[:HEADER_LENGTH])
    wraps = [wrap.name for wrap in storage.list("keys/")]
    vault_id, data_key = unlock(key, wraps, storage.get)
    keys = VaultKeys(data_key, vault_id)
    config = open_object(keys, ObjectKind.CONFIG, _CONFIG, stored)
    try:
        chunk_size = int(json.loads(config)["chunk_size"])
    except (ValueError, KeyError, TypeError) as error:
        raise VaultDataCorrupt(f"Vault object {_CONFIG} is damaged: {error}") from error
    return BlobStore(storage, keys, random), chunk_size
