"""Policies: when a VM is backed up and how long its points are kept."""

from collections.abc import Callable
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


def daily_document(
    *, instant_days: int, daily_days: int, required_consistency: Consistency, run_at: str = "02:30"
) -> dict[str, object]:
    """ARM ``properties`` of a standard policy: one backup a day at ``run_at`` (HH:MM, UTC).

    Only the time of day of the schedule counts; the date in front of it is ARM's way of writing a time.
    """
    times = [f"2026-01-01T{run_at}:00Z"]
    return {
        "backupManagementType": "AzureIaasVM",
        "policyType": PolicyType.V1.value,
        "timeZone": "UTC",
        "instantRpRetentionRangeInDays": instant_days,
        "schedulePolicy": {
            "schedulePolicyType": "SimpleSchedulePolicy",
            "scheduleRunFrequency": "Daily",
            "scheduleRunTimes": times,
        },
        "retentionPolicy": {
            "retentionPolicyType": "LongTermRetentionPolicy",
            "dailySchedule": {
                "retentionTimes": times,
                "retentionDuration": {"count": daily_days, "durationType": "Days"},
            },
        },
        "overwinter": {"requiredConsistency": required_consistency.value},
    }


def default_policies(vault_id: UUID, new_id: Callable[[], UUID]) -> tuple[Policy, Policy]:
    """The two policies every vault is born with (reference articles: 30 days; instant 2 and 7 days)."""
    standard = daily_document(instant_days=2, daily_days=30, required_consistency=Consistency.CRASH)
    enhanced = daily_document(instant_days=7, daily_days=30, required_consistency=Consistency.CRASH)
    enhanced["policyType"] = PolicyType.V2.value
    enhanced["schedulePolicy"] = {
        "schedulePolicyType": "SimpleSchedulePolicyV2",
        "scheduleRunFrequency": "Hourly",
        "hourlySchedule": {
            "interval": 4,
            "scheduleWindowStartTime": "2026-01-01T08:00:00Z",
            "scheduleWindowDuration": 24,
        },
    }
    return (
        Policy(new_id(), vault_id, DEFAULT_POLICY, PolicyType.V1, 2, 30, Consistency.CRASH, standard),
        Policy(new_id(), vault_id, ENHANCED_POLICY, PolicyType.V2, 7, 30, Consistency.CRASH, enhanced),
    )
