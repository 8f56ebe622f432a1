"""From a coded problem to its causes in order: confirmed, open or ruled out, each with what says so.

Pure: of the problem, the code book, and what checks and signs found. What nobody could tell neither confirms
a cause nor rules it out.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import chain

from overwinter.codebook.book import Cause, Entry, GuestSystem, Remedy, causes, find
from overwinter.doctor.check import Finding, Status
from overwinter.doctor.checks import CHECKS
from overwinter.doctor.fact import Known
from overwinter.doctor.facts import Facts
from overwinter.doctor.links import Link, links
from overwinter.doctor.report import Result, examine
from overwinter.doctor.signs import SIGNS
from overwinter.model.agent import SystemFamily
from overwinter.model.job import JobError

#: In the place of a check: the error itself tells. Reasons: whoever raised it ``saw`` the cause, or its
#: ``code`` means it.
ERROR = "error"

_SYSTEMS = {SystemFamily.LINUX: GuestSystem.LINUX, SystemFamily.WINDOWS: GuestSystem.WINDOWS}


class Verdict(StrEnum):
    """What is known of a cause, in the order in which causes are told."""

    CONFIRMED = "confirmed"
    OPEN = "open"
    RULED_OUT = "ruledOut"


class Obstacle(StrEnum):
    """Why a cause is open."""

    NO_FACTS = "noFacts"  # nobody looked when it failed
    UNKNOWN = "unknown"  # a check that would tell had no answer
    UNDECIDED = "undecided"  # the checks tell neither for nor against
    PERSON = "person"  # no check can tell


@dataclass(frozen=True)
class Evidence:
    """What a check or sign found, or the error says; ``why`` is the reason of an unknown.

    ``reason`` names a sentence of the check's texts, ``values`` is what stands in it.
    """

    check: str
    status: Status
    reason: str
    values: Mapping[str, str] = field(default_factory=dict)
    why: str = ""


@dataclass(frozen=True)
class JudgedCause:
    """A cause with what is known of it. ``obstacle`` says why an open one is open; else it is null.

    ``evidence`` confirms it or rules it out; of an open one it is what could not be found out.
    """

    cause: Cause
    verdict: Verdict
    evidence: tuple[Evidence, ...] = ()
    obstacle: Obstacle | None = None


@dataclass(frozen=True)
class Diagnosis:
    """The causes of one problem: confirmed ones first, then open, then ruled out, each in the code's order.

    A cause that whoever raised the error saw comes before all others. ``general`` is what to do whatever the
    cause was.
    """

    code: str
    causes: tuple[JudgedCause, ...]
    general: tuple[Remedy, ...] = ()

    def of(self, verdict: Verdict) -> tuple[JudgedCause, ...]:
        """The causes with that verdict."""
        return tuple(judged for judged in self.causes if judged.verdict is verdict)

    @property
    def first(self) -> str | None:
        """The id of the likeliest cause; null when every one is ruled out."""
        return next((each.cause.id for each in self.causes if each.verdict is not Verdict.RULED_OUT), None)

    @property
    def remedies(self) -> tuple[Remedy, ...]:
        """What to do, in the order to try: of the confirmed causes, or else of the open ones; each once."""
        likely = self.of(Verdict.CONFIRMED) or self.of(Verdict.OPEN)
        of_causes = chain.from_iterable(judged.cause.remedies for judged in likely)
        return tuple(dict.fromkeys([*of_causes, *self.general]))


@dataclass(frozen=True)
class Findings:
    """All that was found of a VM at one moment, by check and sign; ``system`` null: not known."""

    system: GuestSystem | None
    results: Mapping[str, Result]


def look(facts: Facts) -> Findings:
    """Every check and sign over the facts."""
    found = examine(facts, (*CHECKS, *SIGNS)).results
    return Findings(_system(facts), {result.check.id: result for result in found})


def diagnose(problem: JobError, edition: str | None, findings: Findings | None) -> Diagnosis | None:
    """The causes of a problem in the order of an edition (null: ours); null for a code without an entry.

    ``findings`` null: nobody looked.
    """
    entry = find(problem.code)
    if entry is None:
        return None
    judged = [
        _judge(cause, entry, problem, findings) for cause in _possible(entry, edition, problem, findings)
    ]
    order = list(Verdict)
    judged.sort(key=lambda each: (each.cause.id != problem.cause, order.index(each.verdict)))
    return Diagnosis(entry.code, tuple(judged), entry.remedies)


def _possible(
    entry: Entry, edition: str | None, problem: JobError, findings: Findings | None
) -> tuple[Cause, ...]:
    """The causes that the guest's system can have, and the one that was seen, whether it is listed or not."""
    system = None if findings is None else findings.system
    listed = entry.causes_in(edition)
    seen = causes().get(problem.cause or "")
    if seen is not None and seen not in listed:
        listed = (seen, *listed)
    return tuple(
        cause for cause in listed if system is None or cause.system in (None, system) or cause is seen
    )


def _judge(cause: Cause, entry: Entry, problem: JobError, findings: Findings | None) -> JudgedCause:
    link = links()[cause.id]
    found = {} if findings is None else findings.results
    told = _by_the_error(cause, entry, problem, link)
    confirmed = [
        _evidence(found[clue.check])
        for clue in link.confirmed
        if clue.check in found and clue.fits(found[clue.check].finding)
    ]
    if told or confirmed:
        return JudgedCause(cause, Verdict.CONFIRMED, (*told, *confirmed))
    against = _against(link, found)
    if against:
        return JudgedCause(cause, Verdict.RULED_OUT, against)
    unknown = tuple(
        _evidence(found[check])
        for check in link.checks
        if check in found and found[check].finding.status is Status.UNKNOWN
    )
    return JudgedCause(cause, Verdict.OPEN, unknown, _obstacle(link, findings, is_unknown=bool(unknown)))


def _by_the_error(cause: Cause, entry: Entry, problem: JobError, link: Link) -> tuple[Evidence, ...]:
    if problem.cause == cause.id:
        return (Evidence(ERROR, Status.FAIL, "saw"),)
    return (Evidence(ERROR, Status.FAIL, "code"),) if link.by_code and entry.causes == (cause,) else ()


def _against(link: Link, found: Mapping[str, Result]) -> tuple[Evidence, ...]:
    """The findings that rule the cause out: one of every check that is named for it, or none at all."""
    against = []
    for check in dict.fromkeys(clue.check for clue in link.ruled_out):
        clues = [clue for clue in link.ruled_out if clue.check == check]
        if check not in found or not any(clue.fits(found[check].finding) for clue in clues):
            return ()
        against.append(_evidence(found[check]))
    return tuple(against)


def _obstacle(link: Link, findings: Findings | None, *, is_unknown: bool) -> Obstacle:
    if not link.checks:
        return Obstacle.PERSON
    if findings is None:
        return Obstacle.NO_FACTS
    if is_unknown:
        return Obstacle.UNKNOWN
    return Obstacle.PERSON if link.by_person else Obstacle.UNDECIDED


def _evidence(result: Result) -> Evidence:
    finding: Finding = result.finding
    values = {name: str(value) for name, value in finding.values.items()}
    return Evidence(result.check.id, finding.status, finding.reason, values, result.why)


def _system(facts: Facts) -> GuestSystem | None:
    """The guest's system, where the code book has causes of its own for it."""
    seen = facts.agent.value.system if isinstance(facts.agent, Known) else None
    return None if seen is None else _SYSTEMS.get(seen.family)
