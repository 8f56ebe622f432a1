"""Hosts that share one vault: each has a process with the vault open, whose tasks pause at each call.

The storage of a host may fail or lose an answer; its process may die and be followed by another one.
"""

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from random import Random
from typing import Protocol, TypeVar

from overwinter.model.errors import VaultError
from overwinter.vault import VaultStore
from overwinter.vault.presence import Presence
from overwinter.vault.storage import Buffer, Storage, StoredObject
from overwinter.vault.storage.local import LocalStorage
from testkit.lockstep import Task, current, pause
from testkit.memory_storage import MemoryStorage
from testkit.simulated_disk import SimulatedDisk
from testkit.tiny_vaults import ALIVE, HERE, process, reopen

ROOT = Path("/vault")

#: Names that one page of an object store's listing tells.
_PAGE = 3

#: One call, or one operation of a disk, in so many fails.
_CALLS = 400
_OPERATIONS = 1000

Result = TypeVar("Result")


class Ground(Protocol):
    """Where the vault lies."""

    def storage(self) -> Storage:
        """The storage as a process that begins now has it."""

    def objects(self) -> dict[str, bytes]:
        """Every object there is now."""

    def lose_power(self) -> None:
        """All processes are dead; go on from a state that may be found then."""


class ObjectStore:
    """An object store: listings come in pages, calls fail or lose their answers."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._memory = MemoryStorage()

    def storage(self) -> Storage:
        """See ``Ground.storage``."""
        return _PagedCalls(self._memory, self._random)

    def objects(self) -> dict[str, bytes]:
        """See ``Ground.objects``."""
        return dict(self._memory.objects)

    def lose_power(self) -> None:
        """An object store keeps what it has answered for."""


class Directory:
    """A local directory on a simulated disk, whose operations may fail."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._disk = SimulatedDisk()
        self._disk.interrupt = self._interrupt

    def storage(self) -> Storage:
        """See ``Ground.storage``."""
        return _Calls(LocalStorage(ROOT, self._disk), self._random)

    def objects(self) -> dict[str, bytes]:
        """See ``Ground.objects``."""
        storage = LocalStorage(ROOT, SimulatedDisk(self._disk.tree))
        return {stored.name: storage.get(stored.name) for stored in storage.list("")}

    def lose_power(self) -> None:
        """See ``Ground.lose_power``."""
        states = [tree for _, tree in self._disk.crash_states(self._random, 4, len(self._disk.history))]
        self._disk = SimulatedDisk(self._random.choice(states))
        self._disk.interrupt = self._interrupt

    def _interrupt(self, _place: int) -> None:
        pause()
        if not self._random.randrange(_OPERATIONS) and _is_troubled():
            code = self._random.choice([errno.EIO, errno.ENOSPC])
            raise OSError(code, os.strerror(code))


class _Calls:
    """A storage whose calls pause; now and then one fails, or its answer is lost."""

    def __init__(self, storage: Storage, random: Random) -> None:
        self._storage = storage
        self._random = random

    def put(self, name: str, parts: Sequence[Buffer]) -> None:
        self._call(lambda: self._storage.put(name, parts))

    def get(self, name: str) -> bytes:
        return self._call(lambda: self._storage.get(name))

    def get_range(self, name: str, offset: int, length: int) -> bytes:
        return self._call(lambda: self._storage.get_range(name, offset, length))

    def list(self, prefix: str) -> list[StoredObject]:
        return self._call(lambda: self._storage.list(prefix))

    def delete(self, names: Sequence[str]) -> None:
        self._call(lambda: self._storage.delete(names))

    def discard_unfinished(self) -> None:
        self._call(self._storage.discard_unfinished)

    def use_reserve(self, part: float = 1.0) -> AbstractContextManager[None]:
        return self._storage.use_reserve(part)

    @property
    def reads_at_once(self) -> int:
        """See ``Storage``."""
        return self._storage.reads_at_once

    def room(self) -> int | None:
        return self._storage.room()

    def _call(self, work: Callable[[], Result]) -> Result:
        pause()
        fault = self._random.randrange(2 * _CALLS)
        if fault == 0 and _is_troubled():
            raise VaultError("the storage does not answer")
        result = work()
        if fault == 1 and _is_troubled():
            raise VaultError("the storage's answer was lost")
        return result


class _PagedCalls(_Calls):
    """A listing takes several calls, and so does the removal of several objects: others come between them."""

    def list(self, prefix: str) -> list[StoredObject]:
        found: list[StoredObject] = []
        while True:
            last = found[-1].name if found else ""
            page = [stored for stored in super().list(prefix) if stored.name > last][:_PAGE]
            if not page:
                return found
            found += page

    def delete(self, names: Sequence[str]) -> None:
        for name in names:
            super().delete([name])


def _is_troubled() -> bool:
    """Mark the present task as one that had trouble with its storage; false outside of tasks."""
    task = current()
    if task is not None:
        task.troubled = True
    return task is not None


class Host:
    """One host: its process, the vault as that has it open, and its tasks."""

    def __init__(
        self, ground: Ground, second: ObjectStore, random: Random, machine: str, numbers: Iterator[int]
    ) -> None:
        self.machine = machine
        self.tasks: list[Task] = []
        self._ground = ground
        self._second_ground = second
        self._random = random
        self._numbers = numbers
        self._store: VaultStore | None = None
        self._second: VaultStore | None = None
        self._number = 0
        self.begin()

    @property
    def is_here(self) -> bool:
        """Whether others can see if its process lives; if not they may take it for dead."""
        return self.machine == HERE

    @property
    def presence(self) -> Presence:
        """Its process."""
        return process(self._number, self.machine)

    @property
    def store(self) -> VaultStore:
        """The vault, open in this host's process."""
        if self._store is None:
            self._store = reopen(self.storage, self._random, presence=self.presence)
        return self._store

    @property
    def second(self) -> VaultStore:
        """The vault that copies go to, open in this host's process."""
        if self._second is None:
            storage = self._second_ground.storage()
            self._second = reopen(storage, self._random, presence=self.presence)
        return self._second

    def stop(self) -> None:
        """The process is killed with all its tasks."""
        for task in self.tasks:
            task.kill()
        self.tasks.clear()
        ALIVE.discard(self._number)

    def begin(self) -> None:
        """A new process begins."""
        self._number = next(self._numbers)
        ALIVE.add(self._number)
        self.storage = self._ground.storage()
        self._store = self._second = None
