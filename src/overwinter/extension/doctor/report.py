"""The report: for people on a terminal, or as one JSON document.

Python 3.6, standard library only.
"""

import textwrap
import time
from typing import Any, Callable, Dict, List, NamedTuple, Sequence

from overwinter.extension.doctor.checks.catalogue import STEPS, Result
from overwinter.extension.doctor.checks.finding import FAIL, PASS, UNKNOWN, WARN, Finding
from overwinter.extension.doctor.diagnosis import Likely
from overwinter.extension.doctor.text import Text
from overwinter.extension.doctor.texts import Texts

_COLOURS = {PASS: "32", WARN: "33", FAIL: "31", UNKNOWN: "36"}

_MOST_EVIDENCE = 6


class Report(NamedTuple):
    """All that is to be said. ``clean`` is applied to everything that comes from the machine."""

    machine: str
    system: str
    at: float
    results: Sequence[Result]
    likely: Sequence[Likely]
    texts: Texts
    clean: Callable[[str], str]

    def count(self, status: str) -> int:
        """How many checks found that."""
        return sum(1 for each in self.results if each.finding is not None and each.finding.status == status)

    @property
    def exit_status(self) -> int:
        """0 all passed, 1 warnings, 2 failures, 3 nothing worse than something unknown."""
        for status, number in ((FAIL, 2), (WARN, 1), (UNKNOWN, 3)):
            if self.count(status):
                return number
        return 0


def as_document(report: Report) -> Dict[str, Any]:
    """For programs."""
    return {
        "machine": report.clean(report.machine),
        "system": report.clean(report.system),
        "examinedAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(report.at)),
        "checks": [_check(report, each, each.finding) for each in report.results if each.finding is not None],
        "notApplicable": [
            {"id": each.check.id, "reason": report.clean(report.texts.reason(each.left_out))}
            for each in report.results
            if each.left_out is not None
        ],
        "likelyErrors": [
            {
                "code": likely.code,
                "title": report.texts.of("codes", likely.code),
                "certain": likely.certain,
                "checks": list(likely.checks),
                "remedy": _remedy(report, likely.remedy),
            }
            for likely in report.likely
        ],
        "counts": {status: report.count(status) for status in (PASS, WARN, FAIL, UNKNOWN)},
    }


def _check(report: Report, result: Result, finding: Finding) -> Dict[str, Any]:
    return {
        "id": result.check.id,
        "step": int(result.check.step),
        "title": report.texts.of("checks", result.check.id),
        "status": finding.status,
        "reason": report.clean(report.texts.reason(finding.reason)),
        "evidence": [report.clean(line) for line in finding.evidence],
        "remedy": _remedy(report, finding.advice) if finding.remedy else None,
        "predicts": list(result.predicts) if finding.status in (WARN, FAIL) else [],
    }


def _remedy(report: Report, advice: Text) -> Dict[str, str]:
    return {"id": advice.key, "text": report.clean(report.texts.remedy(advice))}


def as_lines(report: Report, width: int, colour: bool) -> List[str]:
    """For people. Evidence is shown where something is not as it should be; ``--json`` has all of it."""
    word = report.texts.word
    writer = _Writer(width, colour, max(len(word(status)) for status in _COLOURS))
    named = " · ".join(report.clean(part) for part in (report.machine, report.system) if part)
    writer.line(word("heading", machine=named or "?"), bold=True)
    for step in STEPS:
        writer.blank()
        writer.line(report.texts.of("steps", step), bold=True)
        for result in report.results:
            if result.check.step == step and result.finding is not None:
                _write_check(writer, report, result, result.finding)
    _write_left_out(writer, report)
    _write_likely(writer, report)
    writer.blank()
    counts = ", ".join(word("count-" + status, number=report.count(status)) for status in _COLOURS)
    writer.line(counts)
    return writer.lines


def _write_check(writer: "_Writer", report: Report, result: Result, finding: Finding) -> None:
    texts = report.texts
    title = "{}: {}".format(texts.of("checks", result.check.id), report.clean(texts.reason(finding.reason)))
    writer.marked(finding.status, texts.word(finding.status), result.check.id, title)
    if finding.status == PASS:
        return
    for line in finding.evidence[:_MOST_EVIDENCE]:
        writer.below("· " + report.clean(line))
    if len(finding.evidence) > _MOST_EVIDENCE:
        writer.below("· " + texts.word("more", number=len(finding.evidence) - _MOST_EVIDENCE))
    if finding.remedy:
        writer.below("→ " + report.clean(texts.remedy(finding.advice)))


def _write_left_out(writer: "_Writer", report: Report) -> None:
    reasons: Dict[str, List[str]] = {}
    for each in report.results:
        if each.left_out is not None:
            reasons.setdefault(report.texts.reason(each.left_out), []).append(each.check.id)
    if reasons:
        writer.blank()
        writer.line(report.texts.word("left-out"), bold=True)
        for reason, ids in reasons.items():
            writer.paragraph("{}: {}".format(", ".join(ids), reason))


def _write_likely(writer: "_Writer", report: Report) -> None:
    if not report.likely:
        return
    texts = report.texts
    writer.blank()
    writer.line(texts.word("likely"), bold=True)
    for number, likely in enumerate(report.likely, start=1):
        head = "{}. {}: {} ({})".format(
            number, likely.code, texts.of("codes", likely.code), ", ".join(likely.checks)
        )
        writer.paragraph(head)
        writer.paragraph("→ " + report.clean(texts.remedy(likely.remedy)), deeper=1)


class _Writer:
    """Lines of a given width, harmless to a terminal, with or without colour.

    ``mark`` is the length of the longest word that a check begins with, which differs with the language.
    """

    def __init__(self, width: int, colour: bool, mark: int) -> None:
        self.lines: List[str] = []
        self._head = "  {:<%d} {:<6} " % mark
        self._column = len(self._head.format("", ""))
        self._width = max(width, 2 * self._column)
        self._colour = colour

    def blank(self) -> None:
        self.lines.append("")

    def line(self, text: str, bold: bool = False) -> None:
        self.lines.append(self._painted(_harmless(text), "1") if bold else _harmless(text))

    def paragraph(self, text: str, deeper: int = 0) -> None:
        indent = " " * (2 + deeper * 3)
        self._wrapped(text, indent, indent + "   ")

    def marked(self, status: str, mark: str, check: str, text: str) -> None:
        first = len(self.lines)
        self._wrapped(text, " " * self._column, " " * self._column)
        head = self._head.format(mark, check)
        rest = self.lines[first][self._column :]
        painted = head.replace(mark, self._painted(mark, _COLOURS[status]), 1)
        self.lines[first] = painted + rest

    def below(self, text: str) -> None:
        self._wrapped(text, " " * self._column, " " * (self._column + 2))

    def _wrapped(self, text: str, first: str, following: str) -> None:
        self.lines += textwrap.wrap(
            _harmless(text),
            width=self._width,
            initial_indent=first,
            subsequent_indent=following,
            break_long_words=False,
            break_on_hyphens=False,
        ) or [first]

    def _painted(self, text: str, code: str) -> str:
        return "\x1b[{}m{}\x1b[0m".format(code, text) if self._colour else text


def _harmless(text: str) -> str:
    """Without control characters: files of a guest are anybody's, and terminals obey."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
