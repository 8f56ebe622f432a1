"""Work beside work: nothing that goes on in a vault holds up or fails what others do at the same time."""

import threading
from collections.abc import Callable
from pathlib import Path

from overwinter.vault import VaultStore
from overwinter.vault.storage import LocalStorage, StoredObject
from tests.vault.disks import CHUNK, NOW, back_up, new_vault, noise, reopen, restore

OLD, NEW = noise(1, 4 * CHUNK), noise(2, 4 * CHUNK)


class Interrupted(LocalStorage):
    """Does something once, before it lists what begins with ``prefix``."""

    prefix = "nothing"
    do: Callable[[], object]

    def list(self, prefix: str) -> list[StoredObject]:
        if prefix == self.prefix:
            self.prefix = "nothing"
            self.do()
        return super().list(prefix)


def interrupted(directory: Path, prefix: str, do: Callable[[], object]) -> VaultStore:
    storage = Interrupted(directory)
    vault = reopen(directory, storage)
    storage.prefix, storage.do = prefix, do
    return vault


def test_a_collection_goes_on_when_a_point_is_added_as_it_begins(tmp_path: Path) -> None:
    back_up(new_vault(tmp_path), "1", OLD)
    other = reopen(tmp_path)
    stored = []
    collector = interrupted(tmp_path, "manifests/", lambda: stored.append(back_up(other, "2", NEW)))
    collector.collect(now=NOW)
    assert restore(reopen(tmp_path), stored[0]) == NEW


def test_a_session_that_waits_for_its_storage_does_not_hold_up_others(tmp_path: Path) -> None:
    waits, went_on = threading.Event(), threading.Event()

    def wait() -> None:
        waits.set()
        assert went_on.wait(60)

    parent = back_up(new_vault(tmp_path), "1", OLD)
    slow = interrupted(tmp_path, "manifests/", wait)
    backup = threading.Thread(target=back_up, args=(slow, "2", OLD, [], parent))
    backup.start()
    waits.wait()
    other = threading.Thread(target=back_up, args=(reopen(tmp_path), "3", OLD, [], parent))
    other.start()
    other.join(30)
    held_up = other.is_alive()
    went_on.set()
    backup.join()
    assert not held_up
