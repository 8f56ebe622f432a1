"""Repairs as the command line sees them: what could be mended of a VM, and what came of it."""

from dataclasses import dataclass
from typing import Self

from overwinter.cli.views import Arm, JobView


@dataclass(frozen=True)
class RepairView:
    """Something that can be mended: what is wrong, what would be done, and what people notice of it."""

    repair: str
    finding: str
    action: str
    touches: str

    @classmethod
    def read(cls, arm: Arm) -> Self:
        """From the service's answer."""
        return cls(arm["repair"], arm["finding"], arm["action"], arm["touches"])


@dataclass(frozen=True)
class MendedView:
    """Something that was to be mended; ``failure`` says why it was not."""

    repair: str
    finding: str
    action: str
    failure: str | None

    @classmethod
    def read(cls, arm: Arm) -> Self:
        """From the report of a job."""
        return cls(arm["repair"], arm["finding"], arm["action"], arm["failure"])


def mended_by(job: JobView) -> tuple[MendedView, ...]:
    """What a job mended, or tried to."""
    return tuple(MendedView.read(arm) for arm in (job.report or {}).get("repairs", ()))
