"""What a check is: a pure function of facts with a stable id, and what it may find."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

from overwinter.doctor.facts import Facts
from overwinter.model.agent import SystemFamily


class Step(IntEnum):
    """The four steps of the reference articles, in their order."""

    VM = 1
    AGENT = 2
    EXTENSIONS = 3
    BACKUP = 4


class Status(StrEnum):
    """What a check says. It never guesses: without the facts it needs it is unknown."""

    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Finding:
    """The answer of a check. ``reason`` names a sentence of its texts, ``values`` is what stands in it."""

    status: Status
    reason: str
    values: Mapping[str, object] = field(default_factory=dict)


Rule = Callable[[Facts], Finding | None]


@dataclass(frozen=True)
class Check:
    """One check.

    Ids beginning with H are those of the reference articles, with X our own. ``causes`` are what can be
    behind a failure, by the code book's ids. ``system``: the only kind of guest it is for. A rule that gives
    nothing does not apply to the VM.
    """

    id: str
    step: Step
    rule: Rule
    causes: tuple[str, ...] = ()
    system: SystemFamily | None = None


def passed(reason: str = "ok", **values: object) -> Finding:
    """All is well."""
    return Finding(Status.PASS, reason, values)


def warned(reason: str, **values: object) -> Finding:
    """It works, but not well, or not for long."""
    return Finding(Status.WARN, reason, values)


def failed(reason: str, **values: object) -> Finding:
    """A backup fails, or is worth less than it should."""
    return Finding(Status.FAIL, reason, values)
