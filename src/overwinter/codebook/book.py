"""The code book's structure: codes, their causes and remedies, and looking a code up.

The data is in ``codes.toml``, ``causes.toml`` and ``remedies.toml``; what it says to people is in ``texts``.
Numbers are frozen, because API clients see them (``errorCode``).
"""

import difflib
import tomllib
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import Any


class Health(StrEnum):
    """What a backup that ends with a code makes of its item, in ARM's words; the worst last."""

    PASSED = "Passed"
    SUGGESTED = "ActionSuggested"
    REQUIRED = "ActionRequired"


class Actor(StrEnum):
    """Who has to act: the administrator inside the VM, the one of the host, or the operator of Overwinter."""

    GUEST = "guest"
    HOST = "host"
    OPERATOR = "operator"


class GuestSystem(StrEnum):
    """Operating systems of guests, where a cause is not of all."""

    LINUX = "linux"
    WINDOWS = "windows"


@dataclass(frozen=True)
class Remedy:
    """One thing to do. ``repair``: id of the repair by which a machine may do it; null: a person decides."""

    id: str
    actor: Actor
    repair: str | None


@dataclass(frozen=True)
class Cause:
    """What can be behind a code, and what mends it, in the order to try. ``system`` null: in any guest."""

    id: str
    system: GuestSystem | None
    remedies: tuple[Remedy, ...]


@dataclass(frozen=True)
class Entry:
    """One code.

    ``retryable`` tells whether the same request can succeed later without a change by a person; ``remedies``
    what to do whatever the cause was. ``editions`` has the causes that editions of the reference articles
    name, oldest edition first; an order holds until the next edition that is listed.
    """

    code: str
    number: int
    retryable: bool
    health: Health
    causes: tuple[Cause, ...]
    editions: tuple[tuple[str, tuple[Cause, ...]], ...]
    remedies: tuple[Remedy, ...]
    aliases: tuple[str, ...]
    related: tuple[str, ...]

    def causes_in(self, edition: str | None) -> tuple[Cause, ...]:
        """The causes in the order of an edition; null: in ours.

        None for a code that came after the edition. Codes that no edition has keep our order.
        """
        if edition is None or not self.editions:
            return self.causes
        return next((causes for since, causes in reversed(self.editions) if since <= edition), ())

    def remedies_in(self, edition: str | None) -> tuple[Remedy, ...]:
        """All remedies in the order to try: those of the causes, then the code's own; each once."""
        of_causes = (remedy for cause in self.causes_in(edition) for remedy in cause.remedies)
        return tuple(dict.fromkeys([*of_causes, *self.remedies]))


@cache
def entries() -> tuple[Entry, ...]:
    """All codes of the book, by number."""
    found = (
        Entry(
            code=code,
            number=row["number"],
            retryable=row["retryable"],
            health=Health(row["health"]),
            causes=_causes_of(row["causes"]),
            editions=tuple(
                (since, _causes_of(names)) for since, names in sorted(row.get("editions", {}).items())
            ),
            remedies=_remedies_of(row.get("remedies", ())),
            aliases=tuple(row.get("aliases", ())),
            related=tuple(row.get("related", ())),
        )
        for code, row in _table("codes.toml").items()
    )
    return tuple(sorted(found, key=lambda entry: entry.number))


@cache
def causes() -> dict[str, Cause]:
    """All causes, by id."""
    return {
        name: Cause(
            id=name,
            system=GuestSystem(row["os"]) if "os" in row else None,
            remedies=_remedies_of(row["remedies"]),
        )
        for name, row in _table("causes.toml").items()
    }


@cache
def remedies() -> dict[str, Remedy]:
    """All remedies, by id."""
    return {
        name: Remedy(id=name, actor=Actor(row["who"]), repair=row.get("repair"))
        for name, row in _table("remedies.toml").items()
    }


def find(code: str) -> Entry | None:
    """The entry of a code, an alias or a number, or null.

    Neither letter case matters, nor spaces and dashes, nor the dotless and dotted i that a Turkish keyboard
    or locale puts in.
    """
    return _by_folded_name().get(_fold(code))


def similar(code: str) -> tuple[Entry, ...]:
    """Up to three entries whose code or alias contains what was written, or is nearly that."""
    known = _by_folded_name()
    asked = _fold(code)[:_LONGEST]
    parts = [name for name in known if len(asked) >= _SHORTEST and asked in name]
    near = difflib.get_close_matches(asked, list(known), n=6, cutoff=0.6)
    return tuple(dict.fromkeys(known[name] for name in [*parts, *near]))[:3]


#: Characters of a misspelt code that are compared (codes are shorter), and fewest of a part of one.
_LONGEST = 100
_SHORTEST = 4


@cache
def _by_folded_name() -> dict[str, Entry]:
    return {
        _fold(name): entry for entry in entries() for name in (entry.code, *entry.aliases, str(entry.number))
    }


def _fold(code: str) -> str:
    # "İ" folds to an i with a combining dot above (no letter), "ı" not at all.
    return "".join(letter for letter in code.casefold() if letter.isalnum()).replace("ı", "i")


def _causes_of(names: list[str]) -> tuple[Cause, ...]:
    return tuple(causes()[name] for name in names)


def _remedies_of(names: list[str]) -> tuple[Remedy, ...]:
    return tuple(remedies()[name] for name in names)


def _table(file: str) -> dict[str, Any]:
    return tomllib.loads(resources.files(__package__).joinpath(file).read_text(encoding="utf-8"))
