"""What a policy's ARM document says. The document's form is the API's to check; its sense is checked here."""

from collections.abc import Mapping
from datetime import datetime, time
from typing import Any
from uuid import UUID

from overwinter.model.calendar_words import Month, Weekday, WeekOfMonth
from overwinter.model.errors import PolicyInvalid
from overwinter.model.extension import BackupWindow, Extension, WithoutAgent
from overwinter.model.long_term import (
    UNITS,
    DaysOfMonth,
    EveryDay,
    InMonths,
    MonthDays,
    OnWeekdays,
    Rule,
    RuleName,
    WeekdaysOfMonth,
)
from overwinter.model.point import Consistency
from overwinter.model.policy import Policy, PolicyContent, PolicyType
from overwinter.model.policy_document import ONLY_CRASH_CONSISTENT, SCHEDULE_TYPES
from overwinter.model.policy_rules import check, default_instant_days
from overwinter.model.schedule import (
    DailySchedule,
    Frequency,
    HourlySchedule,
    Schedule,
    WeeklySchedule,
)

Arm = Mapping[str, Any]


def read_policy(document: Arm, *, policy_id: UUID, vault_id: UUID, name: str) -> Policy:
    """A policy from the document somebody sent. Raises PolicyInvalid with what to write instead."""
    return Policy(policy_id, vault_id, name, read_content(document), dict(document))


def read_content(document: Arm) -> PolicyContent:
    """What a document says that somebody sent. Raises PolicyInvalid with what to write instead."""
    policy = content_of(document)
    _check_retention_times(document["retentionPolicy"], policy.schedule)
    check(policy)
    return policy


def content_of(document: Arm) -> PolicyContent:
    """What a document says, without a look at the rules: what was accepted once stays readable."""
    kind = PolicyType(document.get("policyType") or PolicyType.V1)
    schedule = _schedule(kind, document["schedulePolicy"])
    retention = document["retentionPolicy"]
    rules = [_rule(name, asked) for name in UNITS if (asked := retention.get(f"{name.lower()}Schedule"))]
    names = document.get("instantRPDetails") or {}
    instant_days = document.get("instantRpRetentionRangeInDays")
    return PolicyContent(
        type=kind,
        time_zone=document.get("timeZone") or "UTC",
        schedule=schedule,
        instant_days=default_instant_days(kind, schedule) if instant_days is None else instant_days,
        rules=tuple(rules),
        crash_consistent_only=document.get("snapshotConsistencyType") == ONLY_CRASH_CONSISTENT,
        group_prefix=names.get("azureBackupRGNamePrefix"),
        group_suffix=names.get("azureBackupRGNameSuffix"),
        extension=_extension(document.get("overwinter") or {}),
    )


def _schedule(kind: PolicyType, asked: Arm) -> Schedule:
    wanted = SCHEDULE_TYPES[kind]
    if asked.get("schedulePolicyType", wanted) != wanted:
        raise PolicyInvalid(
            f"A policy of type {kind} has a schedulePolicyType {wanted}, not {asked['schedulePolicyType']}. "
            f"Change one of the two."
        )
    frequency = Frequency(asked["scheduleRunFrequency"])
    if frequency is Frequency.HOURLY:
        if kind is PolicyType.V1:
            raise PolicyInvalid("A standard policy (V1) runs daily or weekly. Use policyType V2 for Hourly.")
        hourly = _part(asked, "hourlySchedule", frequency)
        return HourlySchedule(
            interval=hourly["interval"],
            start=_time(hourly["scheduleWindowStartTime"]),
            duration=hourly["scheduleWindowDuration"],
        )
    runs = asked if kind is PolicyType.V1 else _part(asked, f"{frequency.lower()}Schedule", frequency)
    times = runs.get("scheduleRunTimes") or []
    if len(times) != 1:
        raise PolicyInvalid(
            f"scheduleRunTimes has {len(times)} times; a {frequency} schedule has exactly one. For several "
            "backups a day use policyType V2 with scheduleRunFrequency Hourly."
        )
    days = frozenset(Weekday[day.upper()] for day in runs.get("scheduleRunDays") or [])
    if frequency is Frequency.DAILY:
        return DailySchedule(_time(times[0]))
    if not days:
        raise PolicyInvalid("A weekly schedule needs scheduleRunDays, as in ['Sunday'].")
    return WeeklySchedule(days, _time(times[0]))


def _part(asked: Arm, name: str, frequency: Frequency) -> Arm:
    part: Arm | None = asked.get(name)
    if part is None:
        raise PolicyInvalid(f"With scheduleRunFrequency {frequency} the schedulePolicy needs {name}.")
    return part


def _rule(name: RuleName, asked: Arm) -> Rule:
    duration = asked["retentionDuration"]
    if duration["durationType"] != UNITS[name]:
        raise PolicyInvalid(
            f"The retention of {name.lower()}Schedule is counted in {UNITS[name]}, not in "
            f"{duration['durationType']}."
        )
    count = duration["count"]
    if name is RuleName.DAILY:
        return Rule(name, count, EveryDay())
    if name is RuleName.WEEKLY:
        return Rule(name, count, OnWeekdays(_weekdays(asked, "weeklySchedule")))
    days = _month_days(f"{name.lower()}Schedule", asked)
    if name is RuleName.MONTHLY:
        return Rule(name, count, days)
    months = frozenset(Month[month.upper()] for month in asked.get("monthsOfYear") or [])
    if not months:
        raise PolicyInvalid("The yearlySchedule needs monthsOfYear, as in ['January'].")
    return Rule(name, count, InMonths(months, days))


def _month_days(where: str, asked: Arm) -> MonthDays:
    weekly = asked.get("retentionScheduleWeekly") or {}
    daily = (asked.get("retentionScheduleDaily") or {}).get("daysOfTheMonth") or []
    if asked.get("retentionScheduleFormatType") == "Weekly":
        weeks = frozenset(WeekOfMonth[week.upper()] for week in weekly.get("weeksOfTheMonth") or [])
        if not weeks:
            raise PolicyInvalid(
                f"The {where} needs retentionScheduleWeekly.weeksOfTheMonth, as in ['First']."
            )
        return WeekdaysOfMonth(_weekdays(weekly, f"{where}'s retentionScheduleWeekly"), weeks)
    if not daily:
        raise PolicyInvalid(
            f"The {where} of format Daily needs retentionScheduleDaily.daysOfTheMonth, as in "
            "[{'date': 1, 'isLast': false}]."
        )
    return DaysOfMonth(
        days=frozenset(day["date"] for day in daily if not day.get("isLast")),
        last=any(day.get("isLast") for day in daily),
    )


def _weekdays(asked: Arm, where: str) -> frozenset[Weekday]:
    found = frozenset(Weekday[day.upper()] for day in asked.get("daysOfTheWeek") or [])
    if not found:
        raise PolicyInvalid(f"The {where} needs daysOfTheWeek, as in ['Sunday'].")
    return found


def _check_retention_times(retention: Arm, schedule: Schedule) -> None:
    """ARM says the time twice; where the two differ nobody can know which one was meant."""
    at = schedule.times_of_day[0]
    for name in UNITS:
        asked = retention.get(f"{name.lower()}Schedule") or {}
        for stamp in asked.get("retentionTimes") or []:
            if not isinstance(schedule, HourlySchedule) and _time(stamp) != at:
                raise PolicyInvalid(
                    f"The retentionTimes of {name.lower()}Schedule say {_time(stamp):%H:%M}, but backups run "
                    f"at {at:%H:%M}. Make them equal, or leave retentionTimes out."
                )


def _extension(asked: Arm) -> Extension:
    window = asked.get("backupWindow")
    known = Extension()
    retries = asked.get("retries")
    return Extension(
        required_consistency=Consistency(asked.get("requiredConsistency") or known.required_consistency),
        without_agent=WithoutAgent(asked.get("withoutAgent") or known.without_agent),
        retries=known.retries if retries is None else retries,
        bandwidth_limit=asked.get("bandwidthLimit"),
        backup_window=None
        if window is None
        else BackupWindow(_clock(window["start"]), _clock(window["end"])),
        automatic_repair=asked.get("automaticRepair") or known.automatic_repair,
    )


def _clock(text: str) -> time:
    try:
        return datetime.strptime(text, "%H:%M").time()
    except ValueError:
        raise PolicyInvalid(
            f"{text[:40]!r} in backupWindow is no time of day. Write it like 22:00."
        ) from None


def _time(stamp: str) -> time:
    """The time of day of an ARM time, whatever its date and offset."""
    at = datetime.fromisoformat(stamp).time()
    if at.second or at.microsecond:
        raise PolicyInvalid(f"{stamp} has seconds. Times of a policy are whole minutes.")
    return at
