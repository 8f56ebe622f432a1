"""What a vault has promised at any place of a recorded history: what must be there, and what may be."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

from overwinter.vault import KeySource
from testkit.tiny_vaults import Disks

Value = TypeVar("Value")

#: Before every place of a history.
_BEFORE = -1


@dataclass(frozen=True)
class Promised(Generic[Value]):
    """By name: what must be there, what may be, and what has been removed; all else may not be there."""

    must: dict[str, Value]
    may: dict[str, Value]
    gone: dict[str, Value]

    @classmethod
    def exactly(cls, things: dict[str, Value]) -> "Promised[Value]":
        """These must be there, and nothing else may."""
        return cls(things, things, {})


@dataclass(frozen=True)
class Promises:
    """What a vault promises: ``points`` are listed; ``kept`` are these, and those deleted for some days."""

    points: Promised[Disks]
    kept: Promised[Disks]
    keys: Promised[KeySource]

    @property
    def identity(self) -> int:
        """Equal for equal promises."""
        return hash(
            tuple(
                frozenset(things)
                for promised in (self.points, self.kept, self.keys)
                for things in (promised.must, promised.may, promised.gone)
            )
        )


@dataclass
class _Claim(Generic[Value]):
    """Between which places of the history something was made, and removed."""

    name: str
    value: Value
    making: int
    made: int | None = None
    removing: int | None = None
    removed: int | None = None

    def is_kept_at(self, place: int) -> bool:
        """Whether making it had ended, and removing it had not begun."""
        return (
            self.made is not None and self.made <= place and (self.removing is None or self.removing >= place)
        )


class Ledger(Generic[Value]):
    """Things of one kind (points, keys). ``place`` tells how long the history is now."""

    def __init__(self, place: Callable[[], int]) -> None:
        self._place = place
        self._claims: list[_Claim[Value]] = []

    @contextmanager
    def making(self, name: str, value: Value) -> Iterator[None]:
        """The thing may be there from the begin of the block, and must from its end."""
        claim = _Claim(name, value, self._place())
        self._claims.append(claim)
        yield
        claim.made = self._place()

    @contextmanager
    def removing(self, name: str) -> Iterator[None]:
        """The thing need not be there from the begin of the block, and may not from its end."""
        claim = [found for found in self._claims if found.name == name][-1]
        claim.removing = self._place()
        yield
        claim.removed = self._place()

    def take_over(self, other: "Ledger[Value]") -> None:
        """What ``other`` promises now is so here from before the begin."""
        now = other.at(other._place())
        self._claims = [_Claim(name, value, _BEFORE, _BEFORE) for name, value in now.must.items()]
        self._claims += [
            _Claim(name, value, _BEFORE, _BEFORE, _BEFORE, _BEFORE) for name, value in now.gone.items()
        ]

    @property
    def names(self) -> list[str]:
        """What must be there now."""
        return list(self.at(self._place()).must)

    def at(self, place: int) -> Promised[Value]:
        """What was promised when ``place`` changes of the history had been carried out."""
        must, may, gone = {}, {}, {}
        for claim in self._claims:
            if claim.removed is not None and claim.removed <= place:
                gone[claim.name] = claim.value
            elif claim.making < place:
                may[claim.name] = claim.value
                gone.pop(claim.name, None)  # made again
                if claim.is_kept_at(place):
                    must[claim.name] = claim.value
        return Promised(must, may, gone)
