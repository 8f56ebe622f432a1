"""Which errors a backup of this machine would most likely end with, and what to do first about each.

Python 3.6, standard library only.
"""

from typing import Dict, List, NamedTuple, Sequence, Tuple

from overwinter.extension.doctor.checks.catalogue import Result
from overwinter.extension.doctor.checks.finding import FAIL, WARN
from overwinter.extension.doctor.text import Text


class Likely(NamedTuple):
    """A code of the code book. ``checks`` predict it, the first of them has the ``remedy``."""

    code: str
    certain: bool
    checks: Tuple[str, ...]
    remedy: Text


def diagnose(results: Sequence[Result]) -> List[Likely]:
    """The most likely first: what fails before what only warns, then in the order of the guide."""
    likely: Dict[str, Likely] = {}
    for status in (FAIL, WARN):
        for result in results:
            if result.finding is None or result.finding.status != status:
                continue
            for code in result.predicts:
                new = Likely(code, status == FAIL, (), result.finding.advice)
                known = likely.setdefault(code, new)
                likely[code] = known._replace(checks=(*known.checks, result.check.id))
    return list(likely.values())
