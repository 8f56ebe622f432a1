"""Several threads at one storage, in a chosen order: one moves at a time, from one operation to the next."""

import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import chain, count

from overwinter.model.errors import AlreadyExists, VaultDataCorrupt, VaultObjectMissing
from overwinter.vault.storage import Buffer, StoredObject


class MemoryStorage:
    """Objects in memory. ``pause`` is called before everything that another writer could come between.

    A listing is no single moment: each object is looked for when its turn comes, as in a directory or in an
    object store's many pages.
    """

    def __init__(self, pause: Callable[[], None] = lambda: None) -> None:
        self.objects: dict[str, bytes] = {}
        self.pause = pause

    def put(self, name: str, parts: Sequence[Buffer]) -> None:
        self.pause()
        if name in self.objects:
            raise AlreadyExists(name)
        self.objects[name] = b"".join(parts)

    def get(self, name: str) -> bytes:
        self.pause()
        if name not in self.objects:
            raise VaultObjectMissing(name)
        return self.objects[name]

    def get_range(self, name: str, offset: int, length: int) -> bytes:
        data = self.get(name)[offset : offset + length]
        if len(data) != length:
            raise VaultDataCorrupt(name)
        return data

    def list(self, prefix: str) -> list[StoredObject]:
        found = []
        for name in sorted(self.objects):
            if name.startswith(prefix):
                self.pause()
                if name in self.objects:
                    found.append(StoredObject(name, len(self.objects[name])))
        return found

    def delete(self, names: Sequence[str]) -> None:
        for name in names:
            self.pause()
            self.objects.pop(name, None)

    def discard_unfinished(self) -> None:
        """Nothing is ever unfinished."""

    def use_reserve(self, part: float = 1.0) -> AbstractContextManager[None]:
        return nullcontext()

    @property
    def reads_at_once(self) -> int:
        """See ``Storage``."""
        return 1

    def room(self) -> int | None:
        return None


class _Player(threading.Thread):
    def __init__(self, action: Callable[[], None], moved: threading.Semaphore) -> None:
        super().__init__(daemon=True)
        self.action = action
        self.moved = moved
        self.turn = threading.Semaphore(0)
        self.ended = False
        self.failure: BaseException | None = None

    def run(self) -> None:
        self.turn.acquire()
        try:
            self.action()
        except BaseException as error:  # noqa: BLE001 - handed to the test's own thread
            self.failure = error
        self.ended = True
        self.moved.release()


def play(storage: MemoryStorage, order: Iterable[int], actions: Sequence[Callable[[], None]]) -> list[int]:
    """Run ``actions`` in threads of their own; ``order`` says who moves next, afterwards all in turn.

    Gives the numbers of the actions in the order in which they moved. Raises what an action raised.
    """
    moved = threading.Semaphore(0)
    players = [_Player(action, moved) for action in actions]

    def pause() -> None:
        player = threading.current_thread()
        if isinstance(player, _Player):
            moved.release()
            player.turn.acquire()

    storage.pause = pause
    moves = []
    for player in players:
        player.start()
    for choice in chain(order, count()):
        alive = [number for number, player in enumerate(players) if not player.ended]
        if not alive:
            break
        number = alive[choice % len(alive)]
        moves.append(number)
        players[number].turn.release()
        moved.acquire()
    storage.pause = lambda: None
    for player in players:
        player.join()
        if player.failure is not None:
            raise player.failure
    return moves
