"""Wraps of a vault are added, removed and changed; at every moment somebody can open it."""

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, count, repeat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overwinter.model.errors import AlreadyExists, NotFound, RequestError, VaultDataCorrupt, VaultKeyWrong
from overwinter.model.protection import KeyKind
from overwinter.vault import KeySource, UnreadableWrap, add_wrap, change_wrap, remove_wrap, wraps
from overwinter.vault.keys.secret import Derive
from overwinter.vault.storage import LocalStorage, Storage
from overwinter.vault.store import create_vault_on, open_vault_on
from tests.vault.disks import CHUNK, VAULT_ID, back_up, noise, restore
from tests.vault.faults import Died, DyingStorage
from tests.vault.keyrings import NOW, add, new_vault, number_key, opens
from tests.vault.turns import MemoryStorage, play


def test_data_stays_as_it_is_while_keys_change(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    (first,) = new_vault(storage)
    disk = back_up(open_vault_on(storage, "here", number_key(1)), "1", noise(1, 9 * CHUNK))
    before = {s.name: storage.get(s.name) for s in storage.list("") if not s.name.startswith("keys/")}
    changed = change_wrap(storage, number_key(1), first, number_key(2), label="new", created=NOW)
    assert wraps(storage) == [changed]
    after = {s.name: storage.get(s.name) for s in storage.list("") if not s.name.startswith("keys/")}
    assert after == before
    assert restore(open_vault_on(storage, "here", number_key(2)), disk) == noise(1, 9 * CHUNK)
    assert not opens(storage, number_key(1))


def test_adding_needs_a_working_key_and_a_possible_label() -> None:
    storage = MemoryStorage()
    new_vault(storage)
    before = dict(storage.objects)
    with pytest.raises(VaultKeyWrong):
        add(storage, number_key(3), number_key(4))
    for label in ("x" * 101, "two\nlines", "\x1b[2J", "\u202egnirts", "\ud800"):
        with pytest.raises(RequestError, match="label"):
            add(storage, number_key(1), number_key(2), label)
    with pytest.raises(RequestError, match="zone"):
        add_wrap(storage, number_key(1), number_key(2), label="", created=NOW.replace(tzinfo=None))
    assert storage.objects == before


def test_the_longest_wrap_can_be_read() -> None:
    storage = MemoryStorage()
    new_vault(storage)
    label = '"\\\U0001f600' * 33
    wrap = add(storage, number_key(1), number_key(2), label)
    assert wrap.label == label
    assert opens(storage, number_key(2))


def test_a_key_that_opens_already_gets_no_second_wrap() -> None:
    """Else a passphrase would go on opening the vault after its wrap was removed."""
    storage = MemoryStorage()
    new_vault(storage)
    added = add(storage, number_key(1), number_key(2), "once")
    before = dict(storage.objects)
    assert add(storage, number_key(1), number_key(2), "twice") == added
    assert storage.objects == before


def test_a_secret_that_is_not_the_same_twice_is_not_stored() -> None:
    """A token that put something random into its signatures would lock its owner out."""

    class Fickle:
        kind = KeyKind.KEY_FILE
        parameters = None

        @contextmanager
        def in_use(self) -> Iterator[Derive]:
            yield lambda wrap: os.urandom(32)

    storage = MemoryStorage()
    new_vault(storage)
    before = dict(storage.objects)
    with pytest.raises(VaultKeyWrong, match="was not stored"):
        add(storage, number_key(1), KeySource(Fickle()))
    assert storage.objects == before


def test_a_vault_takes_no_endless_number_of_wraps() -> None:
    storage = MemoryStorage()
    new_vault(storage, *map(number_key, range(2, 33)))
    with pytest.raises(RequestError, match="32 wraps"):
        add(storage, number_key(1), number_key(33))
    assert all(opens(storage, number_key(number)) for number in range(1, 33))


def test_a_removed_key_no_longer_opens() -> None:
    storage = MemoryStorage()
    ids = new_vault(storage, number_key(2), number_key(3))
    remove_wrap(storage, number_key(3), ids[0])
    assert [wrap.id for wrap in wraps(storage)] == sorted(ids[1:])
    assert [opens(storage, number_key(number)) for number in (1, 2, 3)] == [False, True, True]
    assert len(storage.objects) == 3  # config and two wraps: no mark is left


def test_no_key_removes_the_only_wrap_it_opens() -> None:
    storage = MemoryStorage()
    (only,) = new_vault(storage)
    before = dict(storage.objects)
    with pytest.raises(RequestError, match=f"Wrap {only} is the only one"):
        remove_wrap(storage, number_key(1), only)
    with pytest.raises(RequestError, match="is the only one"):
        change_wrap(storage, number_key(1), only, number_key(1), label="", created=NOW)
    assert storage.objects == before
    # Another wrap that looks right is no proof: nobody showed that its secret exists.
    add(storage, number_key(1), number_key(2))
    with pytest.raises(RequestError, match="is the only one"):
        remove_wrap(storage, number_key(1), only)
    with pytest.raises(VaultKeyWrong):
        remove_wrap(storage, number_key(9), only)
    with pytest.raises(NotFound):
        remove_wrap(storage, number_key(1), "0" * 16)
    with pytest.raises(NotFound):
        change_wrap(storage, number_key(1), "../config", number_key(3), label="", created=NOW)
    assert len(storage.objects) == 3


def test_a_damaged_wrap_can_be_removed_and_proves_nothing() -> None:
    storage = MemoryStorage()
    first, second = new_vault(storage, number_key(2))
    storage.objects[f"keys/{second}"] = storage.objects[f"keys/{second}"][:-9]
    with pytest.raises(RequestError, match="is the only one"):
        remove_wrap(storage, number_key(1), first)
    assert UnreadableWrap(second, "its checksum is wrong") in wraps(storage)
    remove_wrap(storage, number_key(1), second)
    assert [wrap.id for wrap in wraps(storage)] == [first]


def test_a_wrap_of_a_creation_that_died_is_tried_and_left_aside() -> None:
    """It opens with the same secret, but its data key is not the vault's."""
    dead, storage = MemoryStorage(), MemoryStorage()
    (left,) = new_vault(dead)
    (first,) = new_vault(storage)
    storage.objects[f"keys/{left}"] = dead.objects[f"keys/{left}"]
    assert opens(storage, number_key(1))
    with pytest.raises(RequestError, match="is the only one"):
        remove_wrap(storage, number_key(1), first)
    remove_wrap(storage, number_key(1), left)
    assert [wrap.id for wrap in wraps(storage)] == [first]
    del storage.objects[f"keys/{first}"]
    storage.objects[f"keys/{left}"] = dead.objects[f"keys/{left}"]
    with pytest.raises(VaultDataCorrupt, match="config"):
        open_vault_on(storage, "here", number_key(1))


def crashes(base: Path, work: Path, action: Callable[[Storage], object]) -> int:
    """Let ``action`` die one change later each time; after each, look at the wraps and do it again."""
    steps = 0
    while True:
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(base, work)
        try:
            action(DyingStorage(work, steps))
        except Died:
            storage = LocalStorage(work)
            assert opens(storage, number_key(1)) or opens(storage, number_key(2)), steps
            steps += 1
            continue
        return steps


def test_every_crash_leaves_a_working_key(tmp_path: Path) -> None:
    (first,) = new_vault(LocalStorage(tmp_path / "base"))
    done: list[list[str]] = []

    def action(storage: Storage) -> None:
        change_wrap(storage, number_key(1), first, number_key(2), label="", created=NOW)

    def again(storage: Storage) -> None:
        """What a person does: the same again, with the key that opens."""
        try:
            action(storage)
        except Died:
            key = number_key(1 if opens(LocalStorage(tmp_path / "work"), number_key(1)) else 2)
            remaining = LocalStorage(tmp_path / "work")
            added = add(remaining, key, number_key(2))
            if any(wrap.id == first for wrap in wraps(remaining)) or list_marks(remaining):
                remove_wrap(remaining, number_key(2), first)
            done.append([stored.name for stored in remaining.list("keys/")])
            assert done[-1] == [f"keys/{added.id}"]
            raise

    assert crashes(tmp_path / "base", tmp_path / "work", again) == 4  # wrap, mark, wrap, mark
    assert len(done) == 4


def list_marks(storage: Storage) -> list[str]:
    return [stored.name for stored in storage.list("keys/") if stored.name.endswith(".removal")]


@pytest.mark.parametrize("digit", [b"\x00", b"\xff"])
def test_removals_that_died_lock_nobody_out(digit: bytes) -> None:
    """Both wraps marked, both removals dead: neither key may remove the other, but a third may."""
    storage = MemoryStorage()
    first, second = new_vault(storage, number_key(2))
    for wrap_id in (first, second):
        storage.objects[f"keys/{wrap_id}.00000000.removal"] = b"\n"
    for key, wrap_id in ((1, second), (2, first)):
        with pytest.raises(RequestError, match="being removed itself"):
            remove_wrap(storage, number_key(key), wrap_id)
    # The marked wrap of key 2 may go at any moment, so it does not count as being there already.
    third = add_wrap(
        storage, number_key(1), number_key(2), label="", created=NOW, random=lambda length: digit * length
    )
    assert third.id != second
    for wrap_id in (first, second):
        remove_wrap(storage, number_key(2), wrap_id)
    assert set(storage.objects) == {"config", f"keys/{third.id}"}


#: Who moves, and how often in a row.
runs = st.lists(st.tuples(st.integers(0, 2), st.integers(1, 30)), max_size=12)


def in_order(moves: list[tuple[int, int]]) -> Iterator[int]:
    return chain.from_iterable(repeat(who, times) for who, times in moves)


def remove_at_once(removals: int, order: Iterable[int]) -> list[int]:
    """Several removals, each relying on the wrap that the next one removes; gives who moved when."""
    storage = MemoryStorage()
    ids = new_vault(storage, *map(number_key, range(2, removals + 1)))
    results: list[str] = []

    def remover(number: int) -> Callable[[], None]:
        def remove() -> None:
            try:
                remove_wrap(storage, number_key(number + 1), ids[(number + 1) % removals])
                results.append("removed")
            except (RequestError, VaultKeyWrong):
                results.append("refused")

        return remove

    moves = play(storage, order, [remover(number) for number in range(removals)])
    assert len(results) == removals
    left = [number for number in range(removals) if opens(storage, number_key(number + 1))]
    assert len(left) == removals - results.count("removed") >= 1
    assert set(storage.objects) == {"config", *(f"keys/{ids[number]}" for number in left)}
    return moves


def test_a_removal_may_be_overtaken_at_any_place() -> None:
    for place in count():
        moves = remove_at_once(2, chain(repeat(0, place), repeat(1, 100)))
        if place >= moves.count(0):
            break
    assert place > 10


@given(number=st.integers(2, 3), moves=runs)
def test_removals_at_once_never_take_the_last_key(number: int, moves: list[tuple[int, int]]) -> None:
    remove_at_once(number, in_order(moves))


@given(moves=runs)
def test_two_creations_at_once_make_one_vault(moves: list[tuple[int, int]]) -> None:
    storage = MemoryStorage()
    results: list[int] = []

    def creator(number: int) -> Callable[[], None]:
        def create() -> None:
            try:
                create_vault_on(storage, "here", number_key(number), VAULT_ID, CHUNK)
                results.append(number)
            except AlreadyExists:
                pass

        return create

    play(storage, in_order(moves), [creator(1), creator(2)])
    (winner,) = results
    assert opens(storage, number_key(winner))
    assert not opens(storage, number_key(3 - winner))
    assert len(wraps(storage)) == 1
