"""Diagnoses as a document that is kept with a job: ids and values only, to be told in any language later.

What is read back may be of another version: causes, checks and sentences that do not exist any more are left
out.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from overwinter.codebook.book import causes, find
from overwinter.doctor.check import Status
from overwinter.doctor.diagnosis import Diagnosis, Evidence, JudgedCause, Obstacle, Verdict, diagnose, look
from overwinter.doctor.facts import Facts
from overwinter.doctor.texts import can_say
from overwinter.model.job import Job, JobError

Document = dict[str, Any]


def record(problems: Iterable[JobError], edition: str | None, facts: Facts | None) -> Document:
    """The diagnoses of problems by the facts of one moment; null: nobody could look.

    Problems of the same code and cause have one diagnosis.
    """
    findings = None if facts is None else look(facts)
    different = {(problem.code, problem.cause): problem for problem in problems}
    found = [(problem, diagnose(problem, edition, findings)) for problem in different.values()]
    return {
        "taken": None if facts is None else facts.taken.isoformat(),
        "problems": [
            {
                "code": problem.code,
                "cause": problem.cause,
                "causes": [_cause(each) for each in diagnosis.causes],
            }
            for problem, diagnosis in found
            if diagnosis is not None
        ],
    }


def taken(job: Job) -> datetime | None:
    """When the facts of a job's diagnosis were gathered; null when none were."""
    when = (job.diagnosis or {}).get("taken")
    return None if when is None else datetime.fromisoformat(when)


def diagnosis_of(job: Job, problem: JobError, edition: str | None) -> Diagnosis | None:
    """The diagnosis of a problem of a job: the one that is kept with it, or by the code book alone.

    Null for a code without an entry.
    """
    for row in (job.diagnosis or {}).get("problems", ()):
        if (row["code"], row["cause"]) == (problem.code, problem.cause):
            return _read(row)
    return diagnose(problem, edition, None)


def _cause(judged: JudgedCause) -> Document:
    return {
        "id": judged.cause.id,
        "verdict": judged.verdict.value,
        "obstacle": None if judged.obstacle is None else judged.obstacle.value,
        "evidence": [
            {
                "check": each.check,
                "status": each.status.value,
                "reason": each.reason,
                "values": dict(each.values),
                "why": each.why,
            }
            for each in judged.evidence
        ],
    }


def _read(row: Document) -> Diagnosis | None:
    entry = find(row["code"])
    if entry is None:
        return None
    judged = tuple(_read_cause(each) for each in row["causes"] if each["id"] in causes())
    return Diagnosis(row["code"], judged, entry.remedies)


def _read_cause(row: Document) -> JudgedCause:
    read = (
        Evidence(each["check"], Status(each["status"]), each["reason"], each["values"], each["why"])
        for each in row["evidence"]
    )
    return JudgedCause(
        cause=causes()[row["id"]],
        verdict=Verdict(row["verdict"]),
        evidence=tuple(each for each in read if can_say(each.check, each.reason)),
        obstacle=None if row["obstacle"] is None else Obstacle(row["obstacle"]),
    )
