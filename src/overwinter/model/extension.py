"""What policies of Overwinter say beyond Azure's: the object ``overwinter`` of a policy's document."""

from dataclasses import dataclass
from datetime import time
from enum import StrEnum

from overwinter.model.point import Consistency


class WithoutAgent(StrEnum):
    """What a backup of a running VM does when no guest agent answers."""

    CRASH_CONSISTENT = "TakeCrashConsistent"
    FAIL = "Fail"


#: How often a backup that failed with a retryable code is tried again, unless the policy says otherwise.
DEFAULT_RETRIES = 3

#: The most a policy may ask for.
MOST_RETRIES = 10


@dataclass(frozen=True)
class BackupWindow:
    """The part of the day in which scheduled backups may start, in local time; it may pass midnight.

    ``start`` is within, ``end`` is not.
    """

    start: time
    end: time

    def has(self, at: time) -> bool:
        """Whether a time of day is within."""
        if self.start < self.end:
            return self.start <= at < self.end
        return at >= self.start or at < self.end


@dataclass(frozen=True)
class Extension:
    """Every field is obeyed by every backup under the policy.

    ``required_consistency``: a backup that reaches less fails instead of being labelled lower.
    ``retries``: attempts after the first. ``bandwidth_limit``: bytes a second that a transfer reads from the
    VM's disks; null means as fast as it goes. ``backup_window``: null means the whole day.
    ``automatic_repair``: after a scheduled backup failed, mend what a machine may mend, and try once more.
    """

    required_consistency: Consistency = Consistency.CRASH
    without_agent: WithoutAgent = WithoutAgent.CRASH_CONSISTENT
    retries: int = DEFAULT_RETRIES
    bandwidth_limit: int | None = None
    backup_window: BackupWindow | None = None
    automatic_repair: bool = False
