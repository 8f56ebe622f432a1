"""Policies: when a VM is backed up and how long its points are kept."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from overwinter.model.point import Consistency

DEFAULT_POLICY = "DefaultPolicy"
ENHANCED_POLICY = "EnhancedPolicy"

#: At most this many restore points (snapshot tier) per VM, over all its collections.
MAX_RESTORE_POINTS = 18


class PolicyType(StrEnum):
    """V1 is the standard, V2 the enhanced policy."""

    V1 = "V1"
    V2 = "V2"


@dataclass(frozen=True)
class Policy:
    """One policy of a vault.

    ``document`` is the whole ARM ``properties`` object as accepted (schedule and long-term retention are
    kept there until the scheduler reads them); the fields beside it are the ones in force today:
    ``instant_retention_days`` for the snapshot tier, ``daily_retention_days`` for the vault tier, and
    ``required_consistency``, our extension: a backup that reaches less fails instead of being labelled
    lower.
    """

    id: UUID
    vault_id: UUID
    name: str
    type: PolicyType
    instant_retention_days: int
    daily_retention_days: int
    required_consistency: Consistency
    document: dict[str, object]
