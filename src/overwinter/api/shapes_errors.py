"""Errors as ARM writes them: to callers, in jobs, and in the health of items."""

from collections.abc import Sequence
from dataclasses import dataclass

from overwinter.codebook import book, languages
from overwinter.codebook.texts import NO_NAMES, Names, texts_in
from overwinter.doctor.diagnosis import Diagnosis, Verdict, diagnose
from overwinter.model.job import JobError


@dataclass(frozen=True)
class Audience:
    """For whom problems are written: their language, and the edition that the service behaves like."""

    language: str = languages.DEFAULT
    edition: str | None = None

    def told(self, code: str, message: str) -> str:
        """What happened. Of one instance only English tells; other languages say the general before it."""
        entry = book.find(code)
        if entry is None or self.language == languages.DEFAULT:
            return message
        return f"{texts_in(self.language).message(entry)} {message}"

    def advice(self, diagnosis: Diagnosis | None, names: Names = NO_NAMES) -> list[str]:
        """What to do about a problem; nothing for a code that is not in the code book."""
        remedies = () if diagnosis is None else diagnosis.remedies
        return [texts_in(self.language).remedy(remedy, names) for remedy in remedies]

    def causes(self, diagnosis: Diagnosis | None) -> list[str]:
        """What can be behind a problem, in the order to look."""
        judged = () if diagnosis is None else diagnosis.causes
        likely = [each.cause for each in judged if each.verdict is not Verdict.RULED_OUT]
        return [texts_in(self.language).cause(cause) for cause in likely]


def error(problem: JobError, audience: Audience) -> dict[str, object]:
    """Body of an error answer.

    Clients print ``message`` only, so it carries the advice too; ``additionalInfo`` has both apart.
    """
    told = audience.told(problem.code, problem.message)
    advice = audience.advice(diagnose(problem, audience.edition, None))
    return {
        "error": {
            "code": problem.code,
            "message": " ".join([told, *advice]),
            "details": [],
            "additionalInfo": [
                {"type": "RecommendedActions", "info": {"message": told, "recommendations": advice}}
            ],
        }
    }


def health_detail(
    problem: JobError, diagnosis: Diagnosis | None, audience: Audience, names: Names
) -> dict[str, object]:
    """A problem as part of an item's health."""
    return {
        "code": number(problem),
        "title": problem.code,
        "message": audience.told(problem.code, problem.message),
        "recommendations": audience.advice(diagnosis, names),
    }


def health(problems: Sequence[JobError]) -> book.Health:
    """What problems make of an item: as bad as the worst of them."""
    order = list(book.Health)
    found = [entry.health for problem in problems if (entry := book.find(problem.code))]
    return max(found, key=order.index, default=book.Health.PASSED)


def number(problem: JobError) -> int:
    """The code's number; 0 for one that is not in the code book."""
    entry = book.find(problem.code)
    return entry.number if entry else 0
