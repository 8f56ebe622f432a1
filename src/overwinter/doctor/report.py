"""Running the checks over a snapshot of facts: one result each, or none where a check does not apply."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from overwinter.doctor.check import Check, Finding, Status
from overwinter.doctor.checks import CHECKS
from overwinter.doctor.fact import Known, NotKnown
from overwinter.doctor.facts import Facts
from overwinter.model.job import Job

#: The reason of a check that has no answer; there is no sentence for it, since why it has none is told.
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Result:
    """What one check found; of an unknown one ``why`` is the reason."""

    check: Check
    finding: Finding
    why: str = ""


@dataclass(frozen=True)
class Report:
    """All results of a VM, by step, and the ids of the checks that do not apply to it.

    ``failed``: its last backup, if that ended with errors or warnings.
    """

    vm: str
    taken: datetime
    results: tuple[Result, ...]
    not_applicable: tuple[str, ...]
    failed: Job | None = None

    @property
    def worst(self) -> Status:
        """The worst status; an unknown is no failure, but it is no pass either."""
        found = {result.finding.status for result in self.results}
        order = (Status.FAIL, Status.WARN, Status.UNKNOWN)
        return next((status for status in order if status in found), Status.PASS)


def examine(facts: Facts, checks: Iterable[Check] = CHECKS) -> Report:
    """Every check over the facts."""
    results: list[Result] = []
    skipped: list[str] = []
    for check in checks:
        result = _result(check, facts)
        if result is None:
            skipped.append(check.id)
        else:
            results.append(result)
    return Report(facts.vm, facts.taken, tuple(results), tuple(skipped), _failed(facts))


def _failed(facts: Facts) -> Job | None:
    backups = facts.records.value.backups if isinstance(facts.records, Known) else ()
    return backups[0] if backups and backups[0].errors else None


def _result(check: Check, facts: Facts) -> Result | None:
    try:
        if check.system is not None:
            system = facts.agent.get().system
            if system is not None and system.family is not check.system:
                return None
            if system is None:
                raise NotKnown("The guest has never told what system it is.")
        finding = check.rule(facts)
    except NotKnown as missing:
        return Result(check, Finding(Status.UNKNOWN, UNKNOWN), missing.reason)
    return None if finding is None else Result(check, finding)
