"""The open vaults of a service."""

import threading
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from overwinter.jobs.vault_stores import VaultStores
from overwinter.model.protection import KeyKind, Vault
from overwinter.vault import KeySource, VaultStore, create_vault


class HeldStores(VaultStores):
    """The storage of one vault hangs until it is let go."""

    def __init__(self, cache: Path, hangs: str) -> None:
        super().__init__(cache)
        self._hangs = hangs
        self.asked, self.go_on = threading.Event(), threading.Event()
        self.opened: list[str] = []

    def open_new(self, url: str, key_reference: str) -> VaultStore:
        if url == self._hangs:
            self.asked.set()
            assert self.go_on.wait(60)
        self.opened.append(url)
        return super().open_new(url, key_reference)


def vault_at(directory: Path) -> Vault:
    key = directory / "key"
    directory.mkdir()
    create_vault((directory / "v").as_uri(), KeySource.new_key_file(key), vault_id=(name := uuid4()))
    return Vault(
        id=name,
        name="v",
        resource_group="default",
        location="local",
        url=(directory / "v").as_uri(),
        key_kind=KeyKind.KEY_FILE,
        key_reference=str(key),
        created=datetime(2026, 1, 1, tzinfo=UTC),
    )


def test_a_vault_that_hangs_holds_up_no_other(tmp_path: Path) -> None:
    hanging, other = vault_at(tmp_path / "hanging"), vault_at(tmp_path / "other")
    stores = HeldStores(tmp_path / "cache", hanging.url)
    got: list[VaultStore] = []
    waiting = [threading.Thread(target=lambda: got.append(stores.open(hanging))) for _ in range(2)]
    for thread in waiting:
        thread.start()
    assert stores.asked.wait(60)
    try:
        stores.open(other)
        assert stores.opened == [other.url]
    finally:
        stores.go_on.set()
        for thread in waiting:
            thread.join()
    assert stores.opened == [other.url, hanging.url]  # and it is opened once
    assert got[0] is got[1]
    stores.close()
