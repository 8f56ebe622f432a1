"""Errors as ARM writes them: to callers, in jobs, and in the health of items."""

from collections.abc import Sequence
from dataclasses import dataclass

from overwinter.codebook import book, explanation, languages
from overwinter.codebook.texts import NO_NAMES, Names, texts_in
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

    def advice(self, code: str, names: Names = NO_NAMES) -> list[str]:
        """What to do about a code."""
        entry = book.find(code)
        if entry is None:
            return []
        return list(explanation.recommendations(entry, texts_in(self.language), self.edition, names))

    def causes(self, code: str) -> list[str]:
        """What can be behind a code, in the order to look."""
        entry = book.find(code)
        causes = entry.causes_in(self.edition) if entry else ()
        return [texts_in(self.language).cause(cause) for cause in causes]


def error(code: str, message: str, audience: Audience) -> dict[str, object]:
    """Body of an error answer.

    Clients print ``message`` only, so it carries the advice too; ``additionalInfo`` has both apart.
    """
    told = audience.told(code, message)
    advice = audience.advice(code)
    return {
        "error": {
            "code": code,
            "message": " ".join([told, *advice]),
            "details": [],
            "additionalInfo": [
                {"type": "RecommendedActions", "info": {"message": told, "recommendations": advice}}
            ],
        }
    }


def error_detail(problem: JobError, audience: Audience, names: Names) -> dict[str, object]:
    """A problem of a job. The number is an integer (older clients need that), the code is the title.

    ``overwinter.causes`` is ours: what can be behind it, in the order to look.
    """
    return {
        "errorCode": _number(problem),
        "errorTitle": problem.code,
        "errorString": audience.told(problem.code, problem.message),
        "recommendations": audience.advice(problem.code, names),
        "overwinter": {"causes": audience.causes(problem.code)},
    }


def health_detail(problem: JobError, audience: Audience, names: Names) -> dict[str, object]:
    """A problem as part of an item's health."""
    return {
        "code": _number(problem),
        "title": problem.code,
        "message": audience.told(problem.code, problem.message),
        "recommendations": audience.advice(problem.code, names),
    }


def health(problems: Sequence[JobError]) -> book.Health:
    """What problems make of an item: as bad as the worst of them."""
    order = list(book.Health)
    found = [entry.health for problem in problems if (entry := book.find(problem.code))]
    return max(found, key=order.index, default=book.Health.PASSED)


def _number(problem: JobError) -> int:
    entry = book.find(problem.code)
    return entry.number if entry else 0
