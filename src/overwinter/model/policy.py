"""Policies: when a VM is backed up and how long its points are kept."""

from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID
from zoneinfo import ZoneInfo

from overwinter.model.extension import Extension
from overwinter.model.long_term import Rule
from overwinter.model.point import Consistency
from overwinter.model.schedule import Schedule
from overwinter.model.timezone import time_zone

DEFAULT_POLICY = "DefaultPolicy"
ENHANCED_POLICY = "EnhancedPolicy"

#: At most this many restore points (snapshot tier) per VM, over all its collections.
MAX_RESTORE_POINTS = 18


class PolicyType(StrEnum):
    """V1 is the standard, V2 the enhanced policy."""

    V1 = "V1"
    V2 = "V2"


@dataclass(frozen=True)
class PolicyContent:
    """What a policy says.

    ``time_zone`` is the name as it was sent; all times of ``schedule`` are local to it. Restore points stay
    on the host for ``instant_days``; ``rules`` say how long recovery points stay in the vault. Under
    ``crash_consistent_only`` no guest is frozen. ``group_prefix`` and ``group_suffix`` name the resource
    group of restore points (ARM's instantRPDetails).
    """

    type: PolicyType
    time_zone: str
    schedule: Schedule
    instant_days: int
    rules: tuple[Rule, ...]
    crash_consistent_only: bool = False
    group_prefix: str | None = None
    group_suffix: str | None = None
    extension: Extension = field(default_factory=Extension)

    @property
    def zone(self) -> ZoneInfo:
        """The zone of the schedule. Raises PolicyInvalid for an unknown name."""
        return time_zone(self.time_zone)


@dataclass(frozen=True)
class Policy:
    """A named policy of a vault: what it says, and the ARM ``properties`` in which somebody said it."""

    id: UUID
    vault_id: UUID
    name: str
    content: PolicyContent
    document: dict[str, object]

    @property
    def type(self) -> PolicyType:
        """Standard or enhanced."""
        return self.content.type

    @property
    def instant_retention_days(self) -> int:
        """Days that restore points stay on the host."""
        return self.content.instant_days

    @property
    def required_consistency(self) -> Consistency:
        """The least a backup must reach."""
        return self.content.extension.required_consistency
