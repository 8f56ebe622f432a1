"""How a diagnosis looks on a terminal: each cause with a sign, and below it what says so."""

from collections.abc import Iterable, Iterator

from overwinter.cli.output import advice, text
from overwinter.cli.views_diagnosis import CauseView, DiagnosedProblem, DiagnosisView

_SIGNS = {"confirmed": "✓", "open": "?", "ruledOut": "✗"}

#: In the place of a check's id: the error itself tells.
_ERROR = "error"


def brief(causes: Iterable[CauseView]) -> Iterator[str]:
    """The causes that are left, with what checks say for them."""
    for cause in causes:
        if cause.verdict != "ruledOut":
            yield f"  {_SIGNS[cause.verdict]} {cause.text}"
        if cause.verdict == "confirmed":
            yield from (_found(each.check, each.reason) for each in cause.evidence if each.check != _ERROR)


def whole(found: DiagnosisView) -> list[str]:
    """A diagnosis with all its causes, those that were ruled out too."""
    ended = f"{found.status}, {text(found.ended)} (job {found.job})"
    lines = [f"{found.heading}: {found.operation} of {found.vm}, {ended}"]
    for problem in found.problems:
        lines += ["", *_problem(problem)]
    return lines


def _problem(problem: DiagnosedProblem) -> Iterator[str]:
    yield f"{problem.code}: {problem.title}"
    yield f"  {problem.message}"
    for cause in problem.causes:
        yield f"  {_SIGNS[cause.verdict]} {cause.id} ({cause.verdict_text}): {cause.text}"
        yield from (_found(each.check, each.reason) for each in cause.evidence)
        if cause.why:
            yield f"      {cause.why}"
    yield from advice(problem.recommendations)


def _found(check: str, reason: str) -> str:
    return f"      {reason}" if check == _ERROR else f"      {check}: {reason}"
