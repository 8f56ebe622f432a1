"""Robustness: random work on one vault by many hosts at once, with crashes and damage, against a plain model.

Everything follows from the seed: which host does what, who moves next at each call of the storage, which
call fails, who dies where. ``python -m testkit.vault_engine SEED`` runs one again.
"""

import argparse
from collections.abc import Callable
from itertools import count
from random import Random

from testkit.lockstep import Task
from testkit.memory_storage import MemoryStorage
from testkit.repeatable import fix_order_of_sets
from testkit.tiny_vaults import HERE, changed, create, in_order, reopen, some_disks
from testkit.vault_actions import Actions
from testkit.vault_check import BrokenPromise, Unusable, check, read_points
from testkit.vault_corruption import corrupt_and_check
from testkit.vault_hosts import Directory, Host, ObjectStore
from testkit.vault_model import Is, Key, Model, Point
from testkit.vault_promises import Promised

#: Where hosts run. Processes elsewhere may be taken for dead while they live.
_MACHINES = (HERE, HERE, "elsewhere 1", "elsewhere 2")

#: Tasks that one host has at most.
_TASKS = 2

#: Steps between one action and the next, at most; and of all tasks after the last action.
_STEPS = 60
_MOST_STEPS = 200_000

#: Actions of one run.
ACTIONS = 60

#: How fast tasks are; now and then one all but sleeps.
_PACES = (1.0, 1.0, 1.0, 0.01)

#: How often each action is chosen.
_CHOICES = {
    "back_up": 10,
    "try_again": 3,
    "delete": 4,
    "delete_for_days": 2,
    "undelete": 2,
    "lock": 1,
    "collect": 6,
    "read": 5,
    "verify": 2,
    "repair": 1,
    "rebuild_index": 1,
    "copy": 1,
    "add_key": 1,
    "remove_key": 1,
    "die": 2,
    "damage": 2,
    "lose_power": 1,
}


#: With which points something can be done.
_FITS: dict[str, Callable[[Point], bool]] = {
    "try_again": lambda point: point.listed is Is.OPEN and point.kept is Is.OPEN and not point.deleted,
    "delete": lambda point: point.listed is not Is.GONE,
    "delete_for_days": lambda point: point.listed is Is.THERE,
    "undelete": lambda point: point.listed is not Is.THERE and point.kept is Is.THERE,
    "lock": lambda point: point.listed is not Is.GONE,
}


#: What is done with keys.
_OF_KEYS = ("add_key", "remove_key")


class Engine:
    """One run. ``actions`` is how many were begun."""

    def __init__(self, seed: int) -> None:
        self.actions = 0
        self._seed = seed
        self._random = Random(seed)
        self._model = Model()
        self._ground = (Directory if seed % 2 else ObjectStore)(self._random)
        self._second = ObjectStore(self._random)
        create(self._ground.storage(), self._random)
        create(self._second.storage(), self._random)
        numbers = count(1)
        self._hosts = [
            Host(self._ground, self._second, self._random, machine, numbers) for machine in _MACHINES
        ]
        self._pace: dict[Task, float] = {}
        self._changed: dict[Task, Point | Key] = {}
        self._names = map(str, count(1))

    def run(self, actions: int) -> None:
        """Do so many actions, let all end, and look at everything. Raises ``BrokenPromise`` and defects."""
        try:
            while self.actions < actions:
                self._begin()
                for _ in range(self._random.randrange(_STEPS)):
                    self._step()
            for _ in range(_MOST_STEPS):
                if not self._step():
                    break
            else:
                raise Unusable("the tasks do not come to an end")
            for host in self._hosts:
                host.stop()
            check(MemoryStorage(self._ground.objects()), self._model.promises(), self._random)
            self._check_copies()
        except BrokenPromise as broken:
            raise type(broken)(f"seed {self._seed}, action {self.actions}: {broken}") from broken
        except Exception as error:
            error.add_note(f"vault engine: seed {self._seed}, action {self.actions}")
            raise
        finally:
            for host in self._hosts:
                host.stop()

    def _step(self) -> bool:
        """Let one task move on; false when there is none."""
        tasks = [(host, task) for host in self._hosts for task in host.tasks]
        if not tasks:
            return False
        (chosen,) = self._random.choices(tasks, [self._pace[task] for _, task in tasks])
        host, task = chosen
        task.step()
        if task.ended:
            host.tasks.remove(task)
            self._forget(task)
            if task.error is not None:
                raise task.error
        return True

    def _begin(self) -> None:
        """Begin an action, if the one chosen can be begun now."""
        (choice,) = self._random.choices(list(_CHOICES), list(_CHOICES.values()))
        host = self._random.choice(self._hosts)
        match choice:
            case "die":
                self._end(host)
                host.begin()
            case "lose_power":
                for each in self._hosts:
                    self._end(each)
                self._ground.lose_power()
                for each in self._hosts:
                    each.begin()
            case "damage":
                self._damage()
            case _:
                if len(host.tasks) >= _TASKS or not self._give(host, choice):
                    return
        self.actions += 1

    def _end(self, host: Host) -> None:
        for task in host.tasks:
            self._forget(task)
        host.stop()

    def _forget(self, task: Task) -> None:
        del self._pace[task]
        if (changed := self._changed.pop(task, None)) is not None:
            changed.busy = False

    def _give(self, host: Host, choice: str) -> bool:
        """Give a host something to do; false when there is no point to do it with."""
        actions = Actions(host, self._model, self._random)
        name, parent, changed = "", None, None
        if choice == "back_up":
            name, parent = self._new_point()
        elif choice in _FITS or choice in _OF_KEYS:
            if not (names := self._fit_for(choice)):
                return False
            name = self._random.choice(names)
        task = Task(_work(choice, actions, name, parent))
        host.tasks.append(task)
        self._pace[task] = self._random.choice(_PACES)
        changed = self._model.keys.get(name) or self._model.points.get(name)
        if changed is not None and choice != "lock":
            self._changed[task] = changed
            changed.busy = True
        return True

    def _fit_for(self, choice: str) -> list[str]:
        """Names of points or keys that something can be done with."""
        if choice in _OF_KEYS:
            return [name for name, key in self._model.keys.items() if not key.busy]
        return [
            name
            for name, point in self._model.points.items()
            if _FITS[choice](point) and (choice == "lock" or not point.busy)
        ]

    def _new_point(self) -> tuple[str, str | None]:
        """A new point for the model, and which one it builds upon."""
        name = next(self._names)
        points = self._model.points
        there = [each for each, point in points.items() if point.listed is Is.THERE and point.manifest]
        gone = [each for each, point in points.items() if point.listed is Is.GONE]
        parent = None
        if there and self._random.random() < 0.6:
            parent = self._random.choice(there)
            disks = changed(self._random, points[parent].disks)
        elif gone and self._random.random() < 0.5:
            disks = points[self._random.choice(gone)].disks  # what collections are about to remove
        else:
            disks = some_disks(self._random, (3, 2))
        points[name] = Point(disks)
        return name, parent

    def _check_copies(self) -> None:
        """Every point that a copy has promised is in the second vault, and what is there is right."""
        vault = reopen(MemoryStorage(self._second.objects()), self._random)
        promised = {name: self._model.points[name].disks for name in self._model.copied}
        everything = {name: point.disks for name, point in self._model.points.items()}
        read_points(vault, Promised(promised, everything, {}))

    def _damage(self) -> None:
        """Damage what lies there now, in a copy."""
        points = {name: point.disks for name, point in self._model.points.items()}
        corrupt_and_check(self._ground.objects(), points, self._random)


def _work(choice: str, actions: Actions, name: str, parent: str | None) -> Callable[[], None]:
    """An action as the work of a task."""
    match choice:
        case "back_up":
            return lambda: actions.back_up(name, parent)
        case "collect":
            return actions.collect
        case "read":
            return actions.read
        case "verify":
            return actions.verify
        case "repair":
            return actions.repair
        case "rebuild_index":
            return actions.rebuild_index
        case "copy":
            return actions.copy
        case "add_key":
            return lambda: actions.add_key(name)
        case "remove_key":
            return lambda: actions.remove_key(name)
        case "try_again":
            return lambda: actions.back_up(name, None)
        case "undelete":
            return lambda: actions.undelete(name)
        case "lock":
            return lambda: actions.lock(name)
        case _:
            return lambda: actions.delete(name, for_days=choice == "delete_for_days")


def run_seeds(first: int, count: int) -> int:
    """Run some seeds; gives the number of actions. Raises what `Engine.run` raises."""
    actions = 0
    with in_order():
        for seed in range(first, first + count):
            engine = Engine(seed)
            engine.run(ACTIONS)
            actions += engine.actions
    return actions


def main() -> None:
    """Run the seeds asked for."""
    fix_order_of_sets()
    parser = argparse.ArgumentParser(prog="python -m testkit.vault_engine", description=__doc__)
    parser.add_argument("seed", type=int, help="the first seed")
    parser.add_argument("count", type=int, nargs="?", default=1, help="how many seeds; default: 1")
    asked = parser.parse_args()
    print(f"{run_seeds(asked.seed, asked.count)} actions, nothing wrong")


if __name__ == "__main__":
    main()
