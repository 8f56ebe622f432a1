"""What is behind the errors of a job, as the command line sees it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from overwinter.api.times import parse

Arm = dict[str, Any]


@dataclass(frozen=True)
class EvidenceView:
    """What a check found, or the error says: ``status`` is pass, warn, fail or unknown."""

    check: str
    title: str
    status: str
    reason: str


@dataclass(frozen=True)
class RemedyView:
    """What to do; ``repair`` is the id of the repair by which a machine may do it, null: a person decides."""

    id: str
    text: str
    actor: str
    actor_text: str
    repair: str | None


@dataclass(frozen=True)
class CauseView:
    """A cause: ``verdict`` is confirmed, open or ruledOut; ``why`` says why an open one is open."""

    id: str
    text: str
    verdict: str
    verdict_text: str
    why: str
    evidence: tuple[EvidenceView, ...]
    remedies: tuple[RemedyView, ...]

    @classmethod
    def read(cls, arm: Arm) -> Self:
        """From a cause of the service's answer."""
        return cls(
            id=arm["id"],
            text=arm["text"],
            verdict=arm["verdict"],
            verdict_text=arm["verdictText"],
            why=arm["why"],
            evidence=tuple(
                EvidenceView(each["check"], each["title"], each["status"], each["reason"])
                for each in arm["evidence"]
            ),
            remedies=tuple(
                RemedyView(each["id"], each["text"], each["actor"], each["actorText"], each["repair"])
                for each in arm["remedies"]
            ),
        )


@dataclass(frozen=True)
class DiagnosedProblem:
    """One error or warning of a job, its causes likeliest first, and what to do."""

    code: str
    title: str
    message: str
    causes: tuple[CauseView, ...]
    recommendations: tuple[str, ...]


@dataclass(frozen=True)
class DiagnosisView:
    """What is behind a job's errors. ``taken``: when facts were gathered; null when nobody looked."""

    job: str
    vm: str
    operation: str
    status: str
    ended: datetime | None
    taken: datetime | None
    heading: str
    problems: tuple[DiagnosedProblem, ...]

    @classmethod
    def read(cls, arm: Arm) -> Self:
        """From the service's answer."""
        return cls(
            job=arm["job"],
            vm=arm["vm"],
            operation=arm["operation"],
            status=arm["status"],
            ended=_moment(arm["ended"]),
            taken=_moment(arm["taken"]),
            heading=arm["heading"],
            problems=tuple(
                DiagnosedProblem(
                    code=row["code"],
                    title=row["title"],
                    message=row["message"],
                    causes=tuple(CauseView.read(each) for each in row["causes"]),
                    recommendations=tuple(row["recommendations"]),
                )
                for row in arm["problems"]
            ),
        )


def _moment(text: str | None) -> datetime | None:
    return None if text is None else parse(text)
