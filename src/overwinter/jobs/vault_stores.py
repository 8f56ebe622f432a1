"""The vault stores a service has open, one per vault, shared by all its jobs."""

import shutil
import threading
from pathlib import Path
from uuid import UUID

from overwinter.model.protection import Vault
from overwinter.vault import ReadCache, VaultStore, key_at, open_vault

#: Local disk for what is read of vaults behind a network: at most so many bytes, and this part of the disk.
CACHE_BYTES = 4 << 30
CACHE_PART = 1 / 10


class VaultStores:
    """Opens a vault on first use and keeps it open; safe to use from many threads.

    A vault whose storage hangs holds up nobody who wants another one.

    ``cache`` is the directory of the read cache for vaults in object stores.
    """

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        self._lock = threading.Lock()
        self._turns: dict[UUID, threading.Lock] = {}
        self._open: dict[UUID, VaultStore] = {}

    def open(self, vault: Vault) -> VaultStore:
        """The store of a vault. Raises the vault room's errors (wrong key, unreachable, damaged)."""
        with self._turn(vault.id):
            store = self._open.get(vault.id)
            if store is None:
                store = self._open[vault.id] = self.open_new(vault.url, vault.key_reference)
            return store

    def _turn(self, vault_id: UUID) -> threading.Lock:
        with self._lock:
            return self._turns.setdefault(vault_id, threading.Lock())

    def open_new(self, url: str, key_reference: str) -> VaultStore:
        """A store of its own of any vault, for the caller to close."""
        return open_vault(url, key_at(key_reference), self._read_cache())

    def _read_cache(self) -> ReadCache:
        self._cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        room = int(shutil.disk_usage(self._cache).total * CACHE_PART)
        return ReadCache(self._cache, min(CACHE_BYTES, room))

    def forget(self, vault_id: UUID) -> None:
        """Close a vault's store if it is open."""
        with self._turn(vault_id):
            store = self._open.pop(vault_id, None)
        if store is not None:
            store.close()

    def close(self) -> None:
        """Close all; nobody must open one at the same time."""
        stores, self._open = list(self._open.values()), {}
        for store in stores:
            store.close()
