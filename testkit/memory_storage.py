"""An object store in memory: it records every call that changes it, and may fail or lose an answer at any."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import combinations
from random import Random

from overwinter.model.errors import AlreadyExists, VaultDataCorrupt, VaultObjectMissing
from overwinter.vault.storage import Buffer, StoredObject

#: Called with a change's place in the history; what it raises is what the caller gets.
Interrupt = Callable[[int], None]

#: With at most so many names in one call, every part of a deletion is tried.
_ALL_PARTS_OF = 4


@dataclass(frozen=True)
class Put:
    """One object stored."""

    name: str
    content: bytes


@dataclass(frozen=True)
class Removed:
    """One object removed, by a call that removed ``names`` in this order."""

    name: str
    names: tuple[str, ...]


class MemoryStorage:
    """``Storage`` that begins with ``objects``.

    ``before`` is called before each change: what it raises happens instead of the change. ``after`` is
    called after it: what it raises is an answer that was lost.
    """

    def __init__(self, objects: Mapping[str, bytes] | None = None) -> None:
        self.objects = dict(objects or {})
        self.history: list[Put | Removed] = []
        self.before: Interrupt | None = None
        self.after: Interrupt | None = None
        self._begin = dict(self.objects)

    def put(self, name: str, parts: Sequence[Buffer]) -> None:
        """See ``Storage.put``."""
        change = Put(name, b"".join(parts))
        if self.before is not None:
            self.before(len(self.history))
        if name in self.objects:
            raise AlreadyExists(f"Vault object {name} exists already; it was not changed.")
        self._do(change)
        self._answer()

    def get(self, name: str) -> bytes:
        """See ``Storage.get``."""
        try:
            return self.objects[name]
        except KeyError as error:
            raise VaultObjectMissing(f"Vault object {name} is missing.") from error

    def get_range(self, name: str, offset: int, length: int) -> bytes:
        """See ``Storage.get_range``."""
        data = self.get(name)[offset : offset + length] if offset >= 0 else b""
        if len(data) != length:
            raise VaultDataCorrupt(f"Vault object {name} is shorter than it must be: it was truncated.")
        return data

    def list(self, prefix: str) -> list[StoredObject]:
        """See ``Storage.list``."""
        return [
            StoredObject(name, len(content))
            for name, content in sorted(self.objects.items())
            if name.startswith(prefix)
        ]

    def delete(self, names: Sequence[str]) -> None:
        """See ``Storage.delete``."""
        if self.before is not None:
            self.before(len(self.history))
        for name in names:
            self._do(Removed(name, tuple(names)))
        self._answer()

    def discard_unfinished(self) -> None:
        """See ``Storage.discard_unfinished``; here every object is whole."""

    def use_reserve(self, part: float = 1.0) -> AbstractContextManager[None]:
        """See ``Storage``: there is none."""
        return nullcontext()

    @property
    def reads_at_once(self) -> int:
        """See ``Storage``."""
        return 1

    def room(self) -> int | None:
        """See ``Storage``: not known."""
        return None

    def crash_states(self, random: Random, mixtures: int) -> Iterator[tuple[int, dict[str, bytes]]]:
        """What is there after a crash between any two changes.

        Gives how many changes had been carried out, with the objects. Of a call that removes several
        objects any part may have been carried out when its first had.
        """
        objects = dict(self._begin)
        yield 0, dict(objects)
        for place, change in enumerate(self.history):
            match change:
                case Put(name, content):
                    objects[name] = content
                case Removed(name, names):
                    if name == names[0]:
                        for part in _parts(names, random, mixtures):
                            yield place + 1, {kept: objects[kept] for kept in objects.keys() - part}
                    objects.pop(name, None)
            yield place + 1, dict(objects)

    def _do(self, change: Put | Removed) -> None:
        match change:
            case Put(name, content):
                self.objects[name] = content
            case Removed(name):
                self.objects.pop(name, None)
        self.history.append(change)

    def _answer(self) -> None:
        if self.after is not None:
            self.after(len(self.history) - 1)


def _parts(names: tuple[str, ...], random: Random, mixtures: int) -> Iterator[frozenset[str]]:
    """Parts of a removal: all there are but nothing and everything, or as many random ones as asked for."""
    if len(names) <= _ALL_PARTS_OF:
        for count in range(1, len(names)):
            yield from map(frozenset, combinations(names, count))
        return
    for _ in range(mixtures):
        yield frozenset(name for name in names if random.random() < 0.5)
