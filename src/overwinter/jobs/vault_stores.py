"""The vault stores a service has open, one per vault, shared by all its jobs."""

import threading
from pathlib import Path
from uuid import UUID

from overwinter.model.protection import KeyKind, Vault
from overwinter.vault import KeySource, VaultStore, open_vault


class VaultStores:
    """Opens a vault on first use and keeps it open; safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[UUID, VaultStore] = {}

    def open(self, vault: Vault) -> VaultStore:
        """The store of a vault. Raises the vault room's errors (wrong key, unreachable, damaged)."""
        with self._lock:
            store = self._open.get(vault.id)
            if store is None:
                store = self._open[vault.id] = open_vault(vault.url, key_of(vault))
            return store

    def forget(self, vault: Vault) -> None:
        """Close a vault's store if it is open."""
        with self._lock:
            store = self._open.pop(vault.id, None)
        if store is not None:
            store.close()

    def close(self) -> None:
        """Close all."""
        with self._lock:
            stores, self._open = list(self._open.values()), {}
        for store in stores:
            store.close()


def key_of(vault: Vault) -> KeySource:
    """The secret that opens a vault, read from where the catalog says it lies."""
    path = Path(vault.key_reference)
    if vault.key_kind is KeyKind.PASSPHRASE:
        return KeySource.from_passphrase(path.read_text().strip())
    return KeySource.from_key_file(path)
