"""What the doctor found, as a document: the four steps with their checks. ARM has no shape for it."""

from overwinter.api.times import stamp
from overwinter.doctor.check import Step
from overwinter.doctor.report import Report, Result
from overwinter.doctor.texts import Texts


def report_shape(report: Report, texts: Texts) -> dict[str, object]:
    """A report in the language of the texts."""
    return {
        "vm": report.vm,
        "taken": stamp(report.taken),
        "status": report.worst.value,
        "steps": [
            {
                "step": step.value,
                "title": texts.step(step),
                "checks": [_check(each, texts) for each in report.results if each.check.step is step],
            }
            for step in Step
        ],
        "notApplicable": list(report.not_applicable),
    }


def _check(result: Result, texts: Texts) -> dict[str, object]:
    return {
        "id": result.check.id,
        "title": texts.title(result.check.id),
        "status": result.finding.status.value,
        "statusText": texts.word(result.finding.status.value),
        "reason": texts.sentence(result),
        "evidence": {name: str(value) for name, value in result.finding.values.items()},
        "causes": list(result.check.causes),
    }
