"""A storage that dies after a given number of changes, as a machine does."""

from collections.abc import Sequence
from pathlib import Path

from overwinter.vault.storage import Buffer, LocalStorage


class Died(Exception):
    """The machine is gone: not an error the store may handle."""


class DyingStorage(LocalStorage):
    """Carries out ``steps`` changes (one object put, or one object deleted, each) and none after them."""

    def __init__(self, root: Path, steps: int) -> None:
        super().__init__(root)
        self.steps = steps

    def put(self, name: str, parts: Sequence[Buffer]) -> None:
        self._step()
        super().put(name, parts)

    def delete(self, names: Sequence[str]) -> None:
        for name in names:
            self._step()
            super().delete([name])

    def _step(self) -> None:
        if self.steps <= 0:
            raise Died
        self.steps -= 1
