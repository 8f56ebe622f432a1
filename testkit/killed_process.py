"""A process of its own that works on a vault in a real directory and kills itself at a chosen place.

The scenarios are those of the crash proofs; what there a simulation does to them, here the system does.
``python -m testkit.killed_process SCENARIO SEED PLACE DIRECTORY`` never comes to an end of its own.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import TypeVar

from overwinter.vault.file_operations import SystemFiles
from overwinter.vault.storage import LocalStorage
from testkit.tiny_vaults import alive, in_order
from testkit.vault_scenarios import SCENARIOS, World

_LIMIT_S = 120

Result = TypeVar("Result")


class CountedFiles(SystemFiles):
    """The system's own operations, those that change anything counted; ``before`` is told each number."""

    def __init__(self) -> None:
        self.done = 0
        self.before: Callable[[int], None] = lambda place: None

    def _change(self, operation: Callable[[], Result]) -> Result:
        self.before(self.done)
        result = operation()
        self.done += 1
        return result

    def create(self, path: Path) -> int:
        """See ``FileOperations``."""
        return self._change(lambda: super(CountedFiles, self).create(path))

    def write(self, descriptor: int, data: memoryview) -> int:
        """See ``FileOperations``."""
        return self._change(lambda: super(CountedFiles, self).write(descriptor, data))

    def link(self, source: Path, target: Path) -> None:
        """See ``FileOperations``."""
        self._change(lambda: super(CountedFiles, self).link(source, target))

    def unlink(self, path: Path) -> None:
        """See ``FileOperations``."""
        self._change(lambda: super(CountedFiles, self).unlink(path))

    def make_directory(self, path: Path) -> None:
        """See ``FileOperations``."""
        self._change(lambda: super(CountedFiles, self).make_directory(path))


def act_on(
    scenario_name: str, seed: int, directory: Path, before: Callable[[int], None] = lambda place: None
) -> World:
    """Prepare a scenario in a new directory, then act; gives the world with what it has promised when.

    The same seed does the same. ``before`` is told the number of each change of acting.
    """
    (scenario,) = (each for each in SCENARIOS if each.name == scenario_name)
    directory.mkdir()
    with in_order():
        prepared, files = CountedFiles(), CountedFiles()
        template = World(LocalStorage(directory, prepared), lambda: prepared.done, Random(seed))
        with alive(template.process):
            scenario.prepare(template)
        files.before = before
        acting = Random(f"{seed} act")
        world = template.continued(LocalStorage(directory, files), lambda: files.done, acting)
        with alive(world.process):
            scenario.act(world)
    return world


def run_killed(scenario_name: str, seed: int, place: int, directory: Path) -> int:
    """Let a process do so and be killed before its change number ``place``; gives its exit status."""
    words = [scenario_name, str(seed), str(place), str(directory)]
    command = [sys.executable, "-m", "testkit.killed_process", *words]
    return subprocess.run(command, timeout=_LIMIT_S, check=False).returncode


def _die_at(place: int) -> Callable[[int], None]:
    def before(here: int) -> None:
        if here == place:
            os.kill(os.getpid(), signal.SIGKILL)

    return before


if __name__ == "__main__":
    act_on(sys.argv[1], int(sys.argv[2]), Path(sys.argv[4]), _die_at(int(sys.argv[3])))
    sys.exit("it was not killed")
