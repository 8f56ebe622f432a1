"""Policies as ARM documents: from what a policy says to its ``properties``. Back again: ``policy_reading``.

Field names and forms are those of the ARM API, the object ``overwinter`` is ours. Of the times only the time
of day counts, in the policy's time zone; the date before it is ARM's way of writing a time.
"""

from collections.abc import Iterable
from datetime import time

from overwinter.model.calendar_words import CalendarWord
from overwinter.model.extension import Extension
from overwinter.model.long_term import (
    UNITS,
    DaysOfMonth,
    InMonths,
    MonthDays,
    OnWeekdays,
    Rule,
    WeekdaysOfMonth,
)
from overwinter.model.policy import PolicyContent, PolicyType
from overwinter.model.schedule import DailySchedule, HourlySchedule, Schedule, WeeklySchedule

Document = dict[str, object]

MANAGEMENT_TYPE = "AzureIaasVM"
ONLY_CRASH_CONSISTENT = "OnlyCrashConsistent"
SCHEDULE_TYPES = {PolicyType.V1: "SimpleSchedulePolicy", PolicyType.V2: "SimpleSchedulePolicyV2"}


def document_of(policy: PolicyContent) -> Document:
    """The ARM ``properties`` of a policy."""
    times = [stamp_of(policy.schedule.times_of_day[0])]
    document: Document = {
        "backupManagementType": MANAGEMENT_TYPE,
        "policyType": policy.type.value,
        "timeZone": policy.time_zone,
        "instantRpRetentionRangeInDays": policy.instant_days,
        "schedulePolicy": _schedule(policy.type, policy.schedule),
        "retentionPolicy": {
            "retentionPolicyType": "LongTermRetentionPolicy",
            **{f"{rule.name.lower()}Schedule": _rule(rule, times) for rule in policy.rules},
        },
        "overwinter": extension_document(policy.extension),
    }
    if policy.crash_consistent_only:
        document["snapshotConsistencyType"] = ONLY_CRASH_CONSISTENT
    if policy.group_prefix is not None:
        names = {"azureBackupRGNamePrefix": policy.group_prefix}
        if policy.group_suffix is not None:
            names["azureBackupRGNameSuffix"] = policy.group_suffix
        document["instantRPDetails"] = names
    return document


def extension_document(extension: Extension) -> Document:
    """The object ``overwinter``, with every field."""
    window = extension.backup_window
    return {
        "requiredConsistency": extension.required_consistency.value,
        "withoutAgent": extension.without_agent.value,
        "retries": extension.retries,
        "bandwidthLimit": extension.bandwidth_limit,
        "backupWindow": None
        if window is None
        else {"start": f"{window.start:%H:%M}", "end": f"{window.end:%H:%M}"},
        "automaticRepair": extension.automatic_repair,
    }


def stamp_of(at: time) -> str:
    """A time of day as ARM writes it."""
    return f"2026-01-01T{at:%H:%M}:00Z"


def _schedule(kind: PolicyType, schedule: Schedule) -> Document:
    document: Document = {
        "schedulePolicyType": SCHEDULE_TYPES[kind],
        "scheduleRunFrequency": schedule.frequency.value,
    }
    times = [stamp_of(schedule.times_of_day[0])]
    if isinstance(schedule, HourlySchedule):
        return document | {
            "hourlySchedule": {
                "interval": schedule.interval,
                "scheduleWindowStartTime": times[0],
                "scheduleWindowDuration": schedule.duration,
            }
        }
    runs: Document = {"scheduleRunTimes": times}
    if isinstance(schedule, WeeklySchedule):
        runs = {"scheduleRunDays": _titles(schedule.days)} | runs
    if kind is PolicyType.V1:
        return document | runs
    return document | {"dailySchedule" if isinstance(schedule, DailySchedule) else "weeklySchedule": runs}


def _rule(rule: Rule, times: list[str]) -> Document:
    document: Document = {}
    if isinstance(rule.days, OnWeekdays):
        document["daysOfTheWeek"] = _titles(rule.days.weekdays)
    elif isinstance(rule.days, InMonths):
        document = {"monthsOfYear": _titles(rule.days.months), **_month_days(rule.days.days)}
    elif isinstance(rule.days, (DaysOfMonth, WeekdaysOfMonth)):
        document = _month_days(rule.days)
    return document | {
        "retentionTimes": times,
        "retentionDuration": {"count": rule.count, "durationType": UNITS[rule.name].value},
    }


def _month_days(days: MonthDays) -> Document:
    if isinstance(days, WeekdaysOfMonth):
        weekly = {"daysOfTheWeek": _titles(days.weekdays), "weeksOfTheMonth": _titles(days.weeks)}
        return {"retentionScheduleFormatType": "Weekly", "retentionScheduleWeekly": weekly}
    numbered: list[Document] = [{"date": day, "isLast": False} for day in sorted(days.days)]
    last: list[Document] = [{"date": 0, "isLast": True}] if days.last else []
    return {
        "retentionScheduleFormatType": "Daily",
        "retentionScheduleDaily": {"daysOfTheMonth": numbered + last},
    }


def _titles(words: Iterable[CalendarWord]) -> list[str]:
    return [word.title for word in sorted(words)]
