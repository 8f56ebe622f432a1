"""What the doctor found, as the command line sees it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Self

from overwinter.cli.views import Arm, sure_moment
from overwinter.cli.views_diagnosis import DiagnosisView


@dataclass(frozen=True)
class CheckView:
    """One check: ``status`` is pass, warn, fail or unknown; ``causes`` are ids of the code book."""

    id: str
    title: str
    status: str
    status_text: str
    reason: str
    evidence: dict[str, str]
    causes: tuple[str, ...]


@dataclass(frozen=True)
class StepView:
    """One of the four steps with its checks."""

    step: int
    title: str
    checks: tuple[CheckView, ...]


@dataclass(frozen=True)
class ExaminationView:
    """All that was found of a VM. ``status`` is the worst of all checks.

    ``last_failure`` is what was behind its last backup's errors, null when that had none.
    """

    vm: str
    taken: datetime
    status: str
    steps: tuple[StepView, ...]
    not_applicable: tuple[str, ...]
    last_failure: DiagnosisView | None

    @classmethod
    def read(cls, arm: Arm) -> Self:
        """From the service's answer."""
        return cls(
            vm=arm["vm"],
            taken=sure_moment(arm["taken"]),
            status=arm["status"],
            steps=tuple(
                StepView(step["step"], step["title"], tuple(_check(each) for each in step["checks"]))
                for step in arm["steps"]
            ),
            not_applicable=tuple(arm["notApplicable"]),
            last_failure=None if arm["lastFailure"] is None else DiagnosisView.read(arm["lastFailure"]),
        )


def _check(arm: Arm) -> CheckView:
    return CheckView(
        id=arm["id"],
        title=arm["title"],
        status=arm["status"],
        status_text=arm["statusText"],
        reason=arm["reason"],
        evidence=dict(arm["evidence"]),
        causes=tuple(arm["causes"]),
    )
