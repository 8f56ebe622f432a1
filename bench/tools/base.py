"""What a tool of the comparison is."""

import subprocess
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

from bench.measure import Measured
from bench.rows import Row
from bench.scene import Scene, Stage


class Tool(ABC):
    """A backup program that can be measured. ``name`` is how it is chosen and how its rows are marked."""

    name: str

    @abstractmethod
    def describe(self) -> dict[str, object]:
        """Version, settings, and what is not measured and why: for the conditions of the report."""

    @abstractmethod
    def rows(self, scene: Scene) -> Iterator[Row]:
        """Take all steps, in the order first, unchanged, changed1, restore of the last."""


class Repository(ABC):
    """Where a tool keeps backups of image files: many in one, equal data once. ``path`` is its directory."""

    path: Path

    @abstractmethod
    def back_up(self, disk: Path, name: str) -> Measured:
        """Back up a qcow2 image in the stage's directory under a name that is new."""


class DeduplicatingTool(Tool):
    """A tool with such a repository."""

    @abstractmethod
    def repository(self, stage: Stage) -> Repository:
        """Make an empty one in the stage's directory; outside the clock."""


def words_of(*command: str) -> str:
    """The first line that a command prints."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[0]
