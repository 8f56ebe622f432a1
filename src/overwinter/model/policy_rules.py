"""What a policy must not say: Azure's rules for its policies, and ours for the object ``overwinter``."""

import re
from collections.abc import Iterable
from datetime import date, datetime, timedelta

from overwinter.model.calendar_words import Weekday
from overwinter.model.errors import PolicyInvalid
from overwinter.model.extension import MOST_RETRIES
from overwinter.model.long_term import (
    LAST_NUMBERED_DAY,
    MOST,
    UNITS,
    DaysOfMonth,
    InMonths,
    OnWeekdays,
    Rule,
    RuleName,
    WeekdaysOfMonth,
)
from overwinter.model.point import Consistency
from overwinter.model.policy import PolicyContent, PolicyType
from overwinter.model.schedule import INTERVALS_H, HourlySchedule, Schedule, WeeklySchedule

#: Days a standard policy with a weekly schedule keeps restore points: no choice (reference articles).
WEEKLY_INSTANT_DAYS = 5

#: The most days that restore points stay on the host.
MOST_INSTANT_DAYS = {PolicyType.V1: 5, PolicyType.V2: 30}

#: The least bytes a second to which a transfer can be held: slower ones would not end.
LEAST_BANDWIDTH = 64 * 1024

#: Scheduled backups start within this time.
START_WITHIN = timedelta(minutes=2)

#: A resource group's name is made of these, with a number between them (reference articles: 74 characters).
_GROUP_NAME = re.compile(r"[A-Za-z0-9._()-]*")
_GROUP_LENGTH = 74


def default_instant_days(kind: PolicyType, schedule: Schedule) -> int:
    """Days that restore points stay on the host when a policy does not say (reference articles)."""
    if kind is PolicyType.V2:
        return 7
    return WEEKLY_INSTANT_DAYS if isinstance(schedule, WeeklySchedule) else 2


def check(policy: PolicyContent) -> None:
    """Raise PolicyInvalid, with what to write instead, for a policy that cannot be."""
    _ = policy.zone
    _check_schedule(policy.schedule)
    _check_instant(policy)
    _check_rules(policy)
    _check_group(policy)
    _check_consistency(policy)
    _check_extension(policy)


def _check_schedule(schedule: Schedule) -> None:
    if not isinstance(schedule, HourlySchedule):
        return
    if schedule.interval not in INTERVALS_H:
        raise PolicyInvalid(
            f"An hourly schedule has an interval of {_listed(INTERVALS_H)} hours, not {schedule.interval}."
        )
    if not schedule.interval <= schedule.duration <= 24:
        raise PolicyInvalid(
            f"A scheduleWindowDuration of {schedule.duration} hours does not fit an interval of "
            f"{schedule.interval}: choose {schedule.interval} to 24."
        )


def _check_instant(policy: PolicyContent) -> None:
    most = MOST_INSTANT_DAYS[policy.type]
    if policy.type is PolicyType.V1 and isinstance(policy.schedule, WeeklySchedule):
        if policy.instant_days != WEEKLY_INSTANT_DAYS:
            raise PolicyInvalid(
                f"A standard policy with a weekly schedule keeps restore points {WEEKLY_INSTANT_DAYS} days: "
                f"instantRpRetentionRangeInDays must be {WEEKLY_INSTANT_DAYS}. Type V2 may choose."
            )
    elif not 1 <= policy.instant_days <= most:
        other = " Policies of type V2 keep up to 30." if policy.type is PolicyType.V1 else ""
        raise PolicyInvalid(
            f"A policy of type {policy.type} keeps restore points 1 to {most} days, not "
            f"{policy.instant_days}: change instantRpRetentionRangeInDays.{other}"
        )


def _check_rules(policy: PolicyContent) -> None:
    rules = {rule.name: rule for rule in policy.rules}
    is_weekly = isinstance(policy.schedule, WeeklySchedule)
    needed, refused = (RuleName.WEEKLY, RuleName.DAILY) if is_weekly else (RuleName.DAILY, None)
    if needed not in rules:
        raise PolicyInvalid(
            f"A policy with a schedule that runs {policy.schedule.frequency} needs a retentionPolicy with "
            f"{needed.lower()}Schedule."
        )
    if refused in rules:
        raise PolicyInvalid(
            "A policy with a weekly schedule has no dailySchedule in its retentionPolicy. Leave it out."
        )
    for rule in policy.rules:
        _check_rule(rule)
        if isinstance(policy.schedule, WeeklySchedule):
            _check_days_run(rule, policy.schedule)
    shortest = rules[needed]
    days = shortest.count * (7 if is_weekly else 1)
    if days < policy.instant_days:
        raise PolicyInvalid(
            f"The vault would lose points after {days} days that the host keeps for {policy.instant_days}: "
            f"raise the retention of {needed.lower()}Schedule or lower instantRpRetentionRangeInDays."
        )


def _check_rule(rule: Rule) -> None:
    if not 1 <= rule.count <= MOST[rule.name]:
        raise PolicyInvalid(
            f"The {rule.name.lower()}Schedule keeps points 1 to {MOST[rule.name]} "
            f"{UNITS[rule.name].lower()}, not {rule.count}."
        )
    days = rule.days.days if isinstance(rule.days, InMonths) else rule.days
    if isinstance(days, DaysOfMonth):
        wrong = [day for day in sorted(days.days) if not 1 <= day <= LAST_NUMBERED_DAY]
        if wrong:
            raise PolicyInvalid(
                f"The {rule.name.lower()}Schedule names day {wrong[0]}; a month's days are 1 to "
                f"{LAST_NUMBERED_DAY}, because not every month has more. For the last day write "
                "{'date': 0, 'isLast': true}."
            )


def _check_days_run(rule: Rule, schedule: WeeklySchedule) -> None:
    """With a weekly schedule a rule may only want days on which a backup runs."""
    days = rule.days.days if isinstance(rule.days, InMonths) else rule.days
    if isinstance(days, DaysOfMonth):
        raise PolicyInvalid(
            f"With a weekly schedule the {rule.name.lower()}Schedule has retentionScheduleFormatType Weekly: "
            "a day by number is often one on which no backup runs."
        )
    wanted = days.weekdays if isinstance(days, (OnWeekdays, WeekdaysOfMonth)) else frozenset[Weekday]()
    missing = [day.title for day in sorted(wanted - schedule.days)]
    if missing:
        raise PolicyInvalid(
            f"The {rule.name.lower()}Schedule wants points of {_listed(missing)}, but no backup runs then. "
            "Add the days to scheduleRunDays or take them out of daysOfTheWeek."
        )


def _check_group(policy: PolicyContent) -> None:
    prefix, suffix = policy.group_prefix, policy.group_suffix
    if suffix is not None and not prefix:
        raise PolicyInvalid("azureBackupRGNameSuffix needs an azureBackupRGNamePrefix.")
    for part in (prefix or "", suffix or ""):
        if not _GROUP_NAME.fullmatch(part):
            raise PolicyInvalid(
                f"{part[:80]!r} cannot be part of a resource group's name: letters, digits, dots, "
                "underscores, hyphens and parentheses can."
            )
    if len((prefix or "") + (suffix or "")) > _GROUP_LENGTH:
        raise PolicyInvalid(f"Prefix and suffix of the resource group have at most {_GROUP_LENGTH} letters.")
    if suffix is not None and suffix.endswith("."):
        raise PolicyInvalid("The name of a resource group does not end in a dot: change its suffix.")


def _check_consistency(policy: PolicyContent) -> None:
    required = policy.extension.required_consistency
    if policy.crash_consistent_only and policy.type is PolicyType.V1:
        raise PolicyInvalid("snapshotConsistencyType belongs to policies of type V2. Leave it out.")
    if policy.crash_consistent_only and required is not Consistency.CRASH:
        raise PolicyInvalid(
            f"No backup would succeed: snapshotConsistencyType asks for crash-consistent points only, and "
            f"overwinter.requiredConsistency for {required}. Leave one of them out."
        )


def _check_extension(policy: PolicyContent) -> None:
    extension = policy.extension
    if not 0 <= extension.retries <= MOST_RETRIES:
        raise PolicyInvalid(f"overwinter.retries is 0 to {MOST_RETRIES}, not {extension.retries}.")
    limit = extension.bandwidth_limit
    if limit is not None and limit < LEAST_BANDWIDTH:
        raise PolicyInvalid(
            f"overwinter.bandwidthLimit is at least {LEAST_BANDWIDTH} bytes a second, not {limit}. Leave it "
            "out for no limit."
        )
    window = extension.backup_window
    if window is None:
        return
    if window.start == window.end:
        raise PolicyInvalid(
            "overwinter.backupWindow begins and ends at the same time. Leave it out for the whole day."
        )
    for at in policy.schedule.times_of_day:
        latest = (datetime.combine(date.min, at) + START_WITHIN).time()
        if not (window.has(at) and window.has(latest)):
            raise PolicyInvalid(
                f"Backups start within 2 minutes from {at:%H:%M} on, but overwinter.backupWindow is from "
                f"{window.start:%H:%M} to {window.end:%H:%M}. Move one of them."
            )


def _listed(values: Iterable[object]) -> str:
    words = [str(value) for value in values]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
