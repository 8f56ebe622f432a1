"""What a tool of the comparison is."""

import subprocess
from abc import ABC, abstractmethod
from collections.abc import Iterator

from bench.rows import Row
from bench.scene import Scene


class Tool(ABC):
    """A backup program that can be measured. ``name`` is how it is chosen and how its rows are marked."""

    name: str

    @abstractmethod
    def describe(self) -> dict[str, object]:
        """Version, settings, and what is not measured and why: for the conditions of the report."""

    @abstractmethod
    def rows(self, scene: Scene) -> Iterator[Row]:
        """Take all steps, in the order first, unchanged, changed1, restore of the last."""


def words_of(*command: str) -> str:
    """The first line that a command prints."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[0]
