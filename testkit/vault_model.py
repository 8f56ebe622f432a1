"""What is known of a vault that many work with at once: plain dicts, against which the vault is compared."""

from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

from overwinter.vault import KeySource, Manifest
from testkit import tiny_vaults
from testkit.tiny_vaults import Disks
from testkit.vault_promises import Promised, Promises

#: Keys besides the first one, which is never removed.
_KEYS = 2

Thing = TypeVar("Thing")


class Is(Enum):
    """How certain something is."""

    THERE = "there"
    OPEN = "perhaps there"
    GONE = "gone"


@dataclass
class Point:
    """A recovery point: whether it is listed, kept (also as a deleted one), and locked.

    ``elsewhere``: a process of another machine has tried to add it. ``deleted``: somebody has tried to delete
    it. ``changes`` counts the changes of what is known, so that who looked knows whether there was one since.
    """

    disks: Disks
    listed: Is = Is.OPEN
    kept: Is = Is.OPEN
    locked: Is = Is.GONE
    manifest: Manifest | None = None
    busy: bool = False
    elsewhere: bool = False
    deleted: bool = False
    changes: int = 0

    def now(self, listed: Is, kept: Is) -> None:
        """Take note of what has become of it."""
        self.listed, self.kept = listed, kept
        self.changes += 1


@dataclass
class Key:
    """A key that may be added and removed, and whether it opens the vault."""

    source: KeySource
    opens: Is = Is.GONE
    busy: bool = False


@dataclass(frozen=True)
class Sight:
    """What was known of each point at one moment."""

    listed: dict[str, Is]
    changes: dict[str, int]


class Model:
    """Every point there ever was, the keys, and the points that copies have promised to a second vault."""

    def __init__(self) -> None:
        self.points: dict[str, Point] = {}
        self.keys = {f"key {number}": Key(tiny_vaults.key(number)) for number in range(1, _KEYS + 1)}
        self.copied: set[str] = set()

    def sight(self) -> Sight:
        """What is known now."""
        return Sight(
            {name: point.listed for name, point in self.points.items()},
            {name: point.changes for name, point in self.points.items()},
        )

    def unchanged(self, name: str, since: Sight) -> bool:
        """Whether what is known of a point is what was known then, and nobody changes it now."""
        point = self.points[name]
        return not point.busy and since.changes.get(name) == point.changes

    def promises(self) -> Promises:
        """What the vault must hold when nobody works with it."""
        return Promises(
            _promised({name: (point.listed, point.disks) for name, point in self.points.items()}),
            _promised({name: (point.kept, point.disks) for name, point in self.points.items()}),
            _promised(
                {
                    "first": (Is.THERE, tiny_vaults.key()),
                    **{name: (key.opens, key.source) for name, key in self.keys.items()},
                }
            ),
        )


def _promised(known: dict[str, tuple[Is, Thing]]) -> Promised[Thing]:
    def those(*certainties: Is) -> dict[str, Thing]:
        return {name: thing for name, (certainty, thing) in known.items() if certainty in certainties}

    return Promised(those(Is.THERE), those(Is.THERE, Is.OPEN), those(Is.GONE))
