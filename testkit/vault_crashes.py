"""Proof that no crash loses a point: scenarios are recorded, and every state a crash may leave is checked."""

import errno
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

from overwinter.model.errors import OverwinterError, VaultError
from overwinter.vault.storage import UNFINISHED, LocalStorage, Storage
from testkit.disk_history import Tree
from testkit.memory_storage import MemoryStorage
from testkit.simulated_disk import SimulatedDisk
from testkit.tiny_vaults import alive
from testkit.vault_check import BrokenPromise, Unusable, check
from testkit.vault_scenarios import Scenario, World

ROOT = Path("/vault")

Names = Callable[[], Sequence[str]]


class Died(BaseException):
    """The process is gone: nothing that the store may handle."""


class CrashProof:
    """Checks the states in which crashes of one scenario leave its vault; the same seed tries the same ones.

    States differ when anything on the disk does, unfinished files too. The store sees only objects, so it is
    tried once with each set of them and of promises. Methods raise ``BrokenPromise``, and for a defect
    whatever the store raised; the message says how to come there again. ``disk`` may be a faulty one.
    """

    def __init__(self, scenario: Scenario, seed: int, disk: type[SimulatedDisk] = SimulatedDisk) -> None:
        self._scenario = scenario
        self._seed = seed
        self._states: set[int] = set()
        self._vaults: set[int] = set()
        self._checked: set[int] = set()
        self._random = Random(seed)
        self._disk = disk
        self._prepared = SimulatedDisk()
        storage = LocalStorage(ROOT, self._prepared)
        self._template = World(storage, lambda: len(self._prepared.history), Random(seed))
        with alive(self._template.process):
            scenario.prepare(self._template)

    @property
    def states(self) -> int:
        """How many different states of the storage were checked."""
        return len(self._states)

    @property
    def vaults(self) -> int:
        """How many different sets of objects there were in them."""
        return len(self._vaults)

    def power_loss(self, mixtures: int) -> None:
        """Power is lost at any operation of the disk under a local directory."""
        world, disk = self._on_disk()
        self._act(world)
        self._check_disk(world, disk, 0, mixtures, "power lost")

    def killed_before_power_loss(self, mixtures: int, every: int = 1) -> None:
        """The process is killed at any operation of the disk, another adds a point, then power is lost."""
        operations = self._operations()
        for place in range(self._random.randrange(every), operations, every):
            world, disk = self._on_disk()
            disk.interrupt = _raising_at(place, Died())
            try:
                self._act(world)
            except Died:
                disk.interrupt = None
                world.die()
            with alive(world.process):
                world.succeed()
            self._check_disk(world, disk, len(disk.history), mixtures, f"killed at {place}, power lost")

    def failing_disk(self, every: int = 1) -> None:
        """One operation of the disk fails; the same process goes on."""
        for place in range(self._random.randrange(every), self._operations(), every):
            world, disk = self._on_disk()
            code = self._random.choice([errno.EIO, errno.ENOSPC, errno.EACCES])
            disk.interrupt = _raising_at(place, OSError(code, os.strerror(code)))
            self._act_and_go_on(world)
            self._check_tree(world, disk.tree, len(disk.history), f"{errno.errorcode[code]} at {place}")

    def cut_calls(self, mixtures: int) -> None:
        """The process dies between any two calls of an object store, or within a call that deletes."""
        world, objects = self._on_objects()
        self._act(world)
        for place, state in objects.crash_states(self._random, mixtures):
            self._check_objects(world, state, place, f"died at call {place}")

    def failing_calls(self, every: int = 1) -> None:
        """A call of an object store fails or loses its answer; the same process goes on."""
        world, objects = self._on_objects()
        self._act(world)
        for place in range(self._random.randrange(every), len(objects.history), every):
            for lost in (False, True):
                world, objects = self._on_objects()
                failure = _raising_at(place, VaultError("the object store does not answer"))
                if lost:
                    objects.after = failure
                else:
                    objects.before = failure
                self._act_and_go_on(world)
                how = "answer lost" if lost else "refused"
                self._check_objects(world, objects.objects, len(objects.history), f"call {place} {how}")

    def _for_acting(self) -> Random:
        return Random(f"{self._seed} act")

    def _operations(self) -> int:
        world, disk = self._on_disk()
        self._act(world)
        return len(disk.history)

    def _act(self, world: World) -> None:
        with alive(world.process):
            self._scenario.act(world)

    def _act_and_go_on(self, world: World) -> None:
        with alive(world.process):
            try:
                self._scenario.act(world)
            except OverwinterError:
                world.succeed()

    def _on_disk(self) -> tuple[World, SimulatedDisk]:
        disk = self._disk(self._prepared.tree)
        storage = LocalStorage(ROOT, disk)
        return self._template.continued(storage, lambda: len(disk.history), self._for_acting()), disk

    def _on_objects(self) -> tuple[World, MemoryStorage]:
        prefix = f"{ROOT}/"
        objects = MemoryStorage(
            {path.removeprefix(prefix): content for path, content in self._prepared.tree.files.items()}
        )
        return self._template.continued(objects, lambda: len(objects.history), self._for_acting()), objects

    def _check_disk(self, world: World, disk: SimulatedDisk, first: int, mixtures: int, how: str) -> None:
        for place, tree in disk.crash_states(self._random, mixtures, first):
            self._check_tree(world, tree, place, f"{how} at {place}")

    def _check_tree(self, world: World, tree: Tree, place: int, how: str) -> None:
        storage, unfinished = _directory(tree)
        objects = {stored.name: storage.get(stored.name) for stored in storage.list("")}
        if tree.identity not in self._states:
            self._states.add(tree.identity)
            storage.discard_unfinished()
            if left := unfinished():
                raise Unusable(f"{left} cannot be removed")
        if self._is_new(world, objects, place):
            self._check(world, *_directory(tree), place, how)

    def _check_objects(self, world: World, objects: dict[str, bytes], place: int, how: str) -> None:
        if self._is_new(world, objects, place):
            self._states.add(hash(frozenset(objects.items())))
            self._check(world, MemoryStorage(objects), list, place, how)

    def _is_new(self, world: World, objects: dict[str, bytes], place: int) -> bool:
        """Whether these objects have not been seen with these promises."""
        identity = hash(frozenset(objects.items()))
        task = hash((identity, world.promises(place).identity))
        if task in self._checked:
            return False
        self._checked.add(task)
        self._vaults.add(identity)
        return True

    def _check(self, world: World, storage: Storage, unfinished: Names, place: int, how: str) -> None:
        try:
            check(storage, world.promises(place), Random(f"{self._seed} check"), unfinished)
        except BrokenPromise as broken:
            raise type(broken)(f"{self._scenario.name}, seed {self._seed}, {how}: {broken}") from broken


def _directory(tree: Tree) -> tuple[LocalStorage, Names]:
    """A local directory on a disk that was found so, and what there is in it that is no object."""
    disk = SimulatedDisk(tree)
    prefix = f"{ROOT}/{UNFINISHED}/"
    return LocalStorage(ROOT, disk), lambda: [path for path in disk.tree.files if path.startswith(prefix)]


def _raising_at(place: int, error: BaseException) -> Callable[[int], None]:
    """Raises once, at one place of a history; death goes on for ever."""
    raised = False

    def interrupt(here: int) -> None:
        nonlocal raised
        if (raised and isinstance(error, Died)) or (here == place and not raised):
            raised = True
            raise error

    return interrupt
