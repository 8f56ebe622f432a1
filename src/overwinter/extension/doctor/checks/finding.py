"""The result of a check. Python 3.6, standard library only."""

from typing import Iterable, NamedTuple, Sequence, Tuple

from overwinter.extension.doctor.text import Text, say

PASS, WARN, FAIL, UNKNOWN = "pass", "warn", "fail", "unknown"

#: The worst first.
_ORDER = (FAIL, WARN, UNKNOWN, PASS)


class Finding(NamedTuple):
    """The result of one check. ``evidence`` is what was seen, in the machine's own words.

    ``remedy`` is a key of the section ``remedies``, empty for none; its sentence may name the values of the
    reason. ``predicts`` are the codes that a backup would end with, when it predicts others than usual.
    """

    status: str
    reason: Text
    evidence: Tuple[str, ...] = ()
    remedy: str = ""
    predicts: Tuple[str, ...] = ()

    @property
    def advice(self) -> Text:
        """The remedy with its values."""
        return Text(self.remedy, self.reason.values)


class NotApplicable(Exception):
    """The check has no meaning on this machine."""

    def __init__(self, reason: Text) -> None:
        super().__init__(reason.key)
        self.reason = reason


def passed(key: str, evidence: Sequence[str] = (), **values: object) -> Finding:
    """As it should be."""
    return Finding(PASS, say(key, **values), tuple(evidence))


def warned(key: str, remedy: str, evidence: Sequence[str] = (), **values: object) -> Finding:
    """A backup may suffer from it."""
    return Finding(WARN, say(key, **values), tuple(evidence), remedy)


def failed(
    key: str, remedy: str, evidence: Sequence[str] = (), predicts: Sequence[str] = (), **values: object
) -> Finding:
    """A backup fails from it."""
    return Finding(FAIL, say(key, **values), tuple(evidence), remedy, tuple(predicts))


def unknown(key: str, evidence: Sequence[str] = (), **values: object) -> Finding:
    """It cannot be told."""
    return Finding(UNKNOWN, say(key, **values), tuple(evidence))


def worst(findings: Iterable[Finding]) -> Finding:
    """The first of the worst findings, for checks about several things of one kind."""
    return min(findings, key=lambda finding: _ORDER.index(finding.status))
