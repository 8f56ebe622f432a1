"""Errors as ARM writes them: to callers, in jobs, and in the health of items."""

from overwinter.codebook import book
from overwinter.model.job import JobError
from overwinter.model.profile import SupportProfile


def error(code: str, message: str) -> dict[str, object]:
    """Body of an error answer.

    Clients print ``message`` only, so it carries the advice too; ``additionalInfo`` has both apart.
    """
    entry = book.find(code)
    advice = list(entry.recommendations) if entry else []
    return {
        "error": {
            "code": code,
            "message": " ".join([message, *advice]),
            "details": [],
            "additionalInfo": [
                {"type": "RecommendedActions", "info": {"message": message, "recommendations": advice}}
            ],
        }
    }


def error_detail(problem: JobError, profile: SupportProfile) -> dict[str, object]:
    """A problem of a job. The number is an integer (older clients need that), the code is the title.

    ``overwinter.causes`` is ours: what can be behind it, in the order of the support profile.
    """
    entry = book.find(problem.code)
    causes = profile.causes.get(entry.code, ()) if entry else ()
    return {
        "errorCode": entry.number if entry else 0,
        "errorTitle": problem.code,
        "errorString": problem.message,
        "recommendations": list(entry.recommendations) if entry else [],
        "overwinter": {"causes": [book.cause(each) for each in causes]},
    }


def health_detail(problem: JobError) -> dict[str, object]:
    """A problem as part of an item's health."""
    entry = book.find(problem.code)
    return {
        "code": entry.number if entry else 0,
        "title": problem.code,
        "message": problem.message,
        "recommendations": list(entry.recommendations) if entry else [],
    }
