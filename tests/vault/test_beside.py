"""Work beside work: nothing that goes on in a vault holds up or fails what others do at the same time."""

import threading
from collections.abc import Callable
from pathlib import Path

from overwinter.model.extent import Extent
from overwinter.vault import VaultStore
from overwinter.vault.rebuild import rebuild_index_on
from overwinter.vault.storage import LocalStorage, StoredObject
from tests.vault.disks import (
    CHUNK,
    DEAD,
    NOW,
    back_up,
    key,
    manifest,
    new_vault,
    noise,
    read_from,
    reopen,
    restore,
)

OLD, NEW = noise(1, 4 * CHUNK), noise(2, 4 * CHUNK)


def nothing() -> None: ...


class Interrupted(LocalStorage):
    """Does something once, before or after it lists what begins with ``prefix``."""

    prefix: str | None = None
    before: Callable[[], object] = staticmethod(nothing)
    after: Callable[[], object] = staticmethod(nothing)

    def list(self, prefix: str) -> list[StoredObject]:
        if prefix != self.prefix:
            return super().list(prefix)
        self.prefix = None
        self.before()
        found = super().list(prefix)
        self.after()
        return found


def interrupted(directory: Path, prefix: str, before: Callable[[], object]) -> VaultStore:
    storage = Interrupted(directory)
    vault = reopen(directory, storage)
    storage.prefix, storage.before = prefix, before
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


def test_a_backup_that_runs_again_is_not_ended_with_the_process_that_died_in_it(tmp_path: Path) -> None:
    new_vault(tmp_path)
    died = reopen(tmp_path, presence=DEAD).session("1")
    session = died.__enter__()
    session.store_disk("vda", len(OLD), [Extent(0, len(OLD))], read_from(OLD))
    session.close()
    with reopen(tmp_path).session("1") as again:
        stored = again.store_disk("vda", len(OLD), [Extent(0, len(OLD))], read_from(OLD))
        reopen(tmp_path).collect(now=NOW)
        again.commit(manifest("1", stored))
    assert restore(reopen(tmp_path), stored) == OLD
    died.__exit__(None, None, None)


def test_an_index_is_made_anew_while_packs_are_collected(tmp_path: Path) -> None:
    vault = new_vault(tmp_path)
    back_up(vault, "1", OLD)
    stored = back_up(vault, "2", NEW)
    vault.delete_point("1", now=NOW)
    storage = Interrupted(tmp_path)
    storage.prefix, storage.after = "packs/", lambda: vault.collect(now=NOW)
    rebuild_index_on(storage, str(tmp_path), key())
    assert restore(reopen(tmp_path), stored) == NEW
