"""What tells each cause of the code book: ``links.toml``, read. Data, not code.

A clue is what a check or a sign has found: ``X4.1/full`` is check X4.1 with the reason ``full``; ``X4.1``
alone is its passing.
"""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from overwinter.doctor.check import Finding, Status


@dataclass(frozen=True)
class Clue:
    """A finding that tells something of a cause; ``reason`` null: the check passes."""

    check: str
    reason: str | None

    def fits(self, finding: Finding) -> bool:
        """Whether the check has found just that; an unknown one has found nothing."""
        if finding.status is Status.UNKNOWN:
            return False
        return finding.status is Status.PASS if self.reason is None else finding.reason == self.reason


@dataclass(frozen=True)
class Link:
    """How a cause is told.

    Any clue of ``confirmed`` confirms it. It is ruled out when every check named in ``ruled_out`` has found
    one of its clues there. ``by_code``: a code that has no other cause says so itself. ``by_error``: an error
    may name it, because whoever raised it saw it. ``by_person``: nothing else tells; a person has to look.
    """

    confirmed: tuple[Clue, ...] = ()
    ruled_out: tuple[Clue, ...] = ()
    by_code: bool = False
    by_error: bool = False
    by_person: bool = False

    @property
    def checks(self) -> tuple[str, ...]:
        """The checks that may tell, each once."""
        return tuple(dict.fromkeys(clue.check for clue in (*self.confirmed, *self.ruled_out)))


@cache
def links() -> dict[str, Link]:
    """The link of every cause, by the cause's id."""
    text = resources.files(__package__).joinpath("links.toml").read_text(encoding="utf-8")
    return {cause: _link(row) for cause, row in tomllib.loads(text).items()}


def _link(row: dict[str, Any]) -> Link:
    told_by = set(row.get("told_by", ()))
    return Link(
        confirmed=tuple(_clue(name) for name in row.get("confirmed", ())),
        ruled_out=tuple(_clue(name) for name in row.get("ruled_out", ())),
        by_code="code" in told_by,
        by_error="error" in told_by,
        by_person="person" in told_by,
    )


def _clue(name: str) -> Clue:
    check, _, reason = name.partition("/")
    return Clue(check, reason or None)
