"""Policies as documents: both ways the same, and every wrong one is refused with what to write instead."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given

from overwinter.model.default_policies import enhanced_content, standard_content
from overwinter.model.errors import PolicyInvalid
from overwinter.model.policy import PolicyContent
from overwinter.model.policy_document import document_of
from overwinter.model.policy_reading import read_content
from tests.model import policies

TIMES = ["2026-01-01T02:30:00Z"]
DAILY: dict[str, Any] = {
    "policyType": "V1",
    "timeZone": "UTC",
    "instantRpRetentionRangeInDays": 2,
    "schedulePolicy": {
        "schedulePolicyType": "SimpleSchedulePolicy",
        "scheduleRunFrequency": "Daily",
        "scheduleRunTimes": TIMES,
    },
    "retentionPolicy": {
        "dailySchedule": {
            "retentionTimes": TIMES,
            "retentionDuration": {"count": 30, "durationType": "Days"},
        },
        "monthlySchedule": {
            "retentionScheduleFormatType": "Daily",
            "retentionScheduleDaily": {"daysOfTheMonth": [{"date": 1}, {"date": 0, "isLast": True}]},
            "retentionDuration": {"count": 6, "durationType": "Months"},
        },
        "yearlySchedule": {
            "retentionScheduleFormatType": "Weekly",
            "monthsOfYear": ["January"],
            "retentionScheduleWeekly": {"daysOfTheWeek": ["Sunday"], "weeksOfTheMonth": ["Last"]},
            "retentionDuration": {"count": 9, "durationType": "Years"},
        },
    },
}
WEEKLY: dict[str, Any] = {
    "policyType": "V1",
    "schedulePolicy": {
        "scheduleRunFrequency": "Weekly",
        "scheduleRunDays": ["Monday", "Thursday"],
        "scheduleRunTimes": TIMES,
    },
    "retentionPolicy": {
        "weeklySchedule": {
            "daysOfTheWeek": ["Monday"],
            "retentionDuration": {"count": 4, "durationType": "Weeks"},
        }
    },
}
HOURLY: dict[str, Any] = {
    "policyType": "V2",
    "schedulePolicy": {
        "scheduleRunFrequency": "Hourly",
        "hourlySchedule": {
            "interval": 4,
            "scheduleWindowStartTime": "2026-01-01T08:00:00Z",
            "scheduleWindowDuration": 12,
        },
    },
    "retentionPolicy": {
        "dailySchedule": {"retentionDuration": {"count": 30, "durationType": "Days"}},
    },
}


@given(policies.contents())
def test_there_and_back_again(policy: PolicyContent) -> None:
    document = json.loads(json.dumps(document_of(policy)))
    assert read_content(document) == policy


def test_azures_own_policies() -> None:
    assert read_content(document_of(standard_content())).instant_days == 2
    enhanced = read_content(document_of(enhanced_content()))
    assert (enhanced.instant_days, len(enhanced.schedule.times_of_day)) == (7, 6)


@pytest.mark.parametrize(("document", "days"), [(DAILY, 2), (WEEKLY, 5), (HOURLY, 7)])
def test_days_on_the_host_when_a_policy_does_not_say(document: dict[str, Any], days: int) -> None:
    changed = {**document, "instantRpRetentionRangeInDays": None}
    assert read_content(changed).instant_days == days


@pytest.mark.parametrize(
    ("document", "place", "value", "says"),
    [
        (DAILY, "timeZone", "Mars/Olympus", "Europe/Berlin"),
        (DAILY, "instantRpRetentionRangeInDays", 6, "1 to 5 days, not 6.*V2 keep up to 30"),
        (HOURLY, "instantRpRetentionRangeInDays", 31, "1 to 30 days"),
        (WEEKLY, "instantRpRetentionRangeInDays", 2, "must be 5"),
        (DAILY, "policyType", "V2", "SimpleSchedulePolicyV2"),
        (HOURLY, "policyType", "V1", "Use policyType V2"),
        (DAILY, "schedulePolicy.scheduleRunTimes", [], "has 0 times"),
        (DAILY, "schedulePolicy.scheduleRunTimes", TIMES * 2, "has 2 times.*Hourly"),
        (DAILY, "schedulePolicy.scheduleRunTimes", ["2026-01-01T02:30:07Z"], "whole minutes"),
        (DAILY, "schedulePolicy.scheduleRunTimes", ["2026-01-01T03:30:00Z"], "say 02:30, but backups run at"),
        (WEEKLY, "schedulePolicy.scheduleRunDays", [], "needs scheduleRunDays"),
        (HOURLY, "schedulePolicy.hourlySchedule", None, "needs hourlySchedule"),
        (HOURLY, "schedulePolicy.hourlySchedule.interval", 5, "4, 6, 8 or 12 hours, not 5"),
        (HOURLY, "schedulePolicy.hourlySchedule.scheduleWindowDuration", 3, "choose 4 to 24"),
        (HOURLY, "schedulePolicy.hourlySchedule.scheduleWindowDuration", 25, "choose 4 to 24"),
        (DAILY, "retentionPolicy.dailySchedule", None, "needs a retentionPolicy with dailySchedule"),
        (WEEKLY, "retentionPolicy.weeklySchedule", None, "with weeklySchedule"),
        (WEEKLY, "retentionPolicy.dailySchedule", DAILY["retentionPolicy"]["dailySchedule"], "Leave it out"),
        (WEEKLY, "retentionPolicy.weeklySchedule.daysOfTheWeek", ["Sunday"], "Sunday.*scheduleRunDays"),
        (WEEKLY, "retentionPolicy.weeklySchedule.daysOfTheWeek", [], "needs daysOfTheWeek"),
        (WEEKLY, "retentionPolicy.monthlySchedule", DAILY["retentionPolicy"]["monthlySchedule"], "Weekly"),
        (DAILY, "retentionPolicy.dailySchedule.retentionDuration.durationType", "Weeks", "counted in Days"),
        (DAILY, "retentionPolicy.dailySchedule.retentionDuration.count", 10000, "1 to 9999 days"),
        (DAILY, "retentionPolicy.dailySchedule.retentionDuration.count", 1, "that the host keeps for 2"),
        (DAILY, "retentionPolicy.yearlySchedule.retentionDuration.count", 100, "1 to 99 years"),
        (DAILY, "retentionPolicy.yearlySchedule.monthsOfYear", None, "needs monthsOfYear"),
        (
            DAILY,
            "retentionPolicy.yearlySchedule.retentionScheduleWeekly.weeksOfTheMonth",
            [],
            "weeksOfTheMonth",
        ),
        (DAILY, "retentionPolicy.monthlySchedule.retentionScheduleDaily", None, "daysOfTheMonth"),
        (
            DAILY,
            "retentionPolicy.monthlySchedule.retentionScheduleDaily.daysOfTheMonth",
            [{"date": 31}],
            "names day 31.*isLast",
        ),
        (DAILY, "snapshotConsistencyType", "OnlyCrashConsistent", "type V2"),
        (DAILY, "instantRPDetails", {"azureBackupRGNameSuffix": "x"}, "needs an azureBackupRGNamePrefix"),
        (DAILY, "instantRPDetails", {"azureBackupRGNamePrefix": "a b"}, "cannot be part"),
        (DAILY, "instantRPDetails", {"azureBackupRGNamePrefix": "a" * 75}, "at most 74"),
        (
            DAILY,
            "instantRPDetails",
            {"azureBackupRGNamePrefix": "a", "azureBackupRGNameSuffix": "b."},
            "end in a dot",
        ),
        (DAILY, "overwinter", {"retries": 11}, "0 to 10"),
        (DAILY, "overwinter", {"bandwidthLimit": 1000}, "at least 65536 bytes a second"),
        (DAILY, "overwinter", {"backupWindow": {"start": "ten", "end": "06:00"}}, "22:00"),
        (DAILY, "overwinter", {"backupWindow": {"start": "03:00", "end": "06:00"}}, "02:30.*Move one"),
        (DAILY, "overwinter", {"backupWindow": {"start": "01:00", "end": "02:31"}}, "2 minutes.*02:30"),
        (DAILY, "overwinter", {"backupWindow": {"start": "06:00", "end": "06:00"}}, "whole day"),
    ],
)
def test_a_wrong_policy_is_told_what_to_write(
    document: dict[str, Any], place: str, value: object, says: str
) -> None:
    read_content(document)
    changed = copy.deepcopy(document)
    *way, last = place.split(".")
    part = changed
    for name in way:
        part = part[name]
    part[last] = value
    with pytest.raises(PolicyInvalid, match=says):
        read_content(changed)


def test_crash_consistent_only_and_more_contradict() -> None:
    wrong = {
        **HOURLY,
        "snapshotConsistencyType": "OnlyCrashConsistent",
        "overwinter": {"requiredConsistency": "FileSystemConsistent"},
    }
    with pytest.raises(PolicyInvalid, match="No backup would succeed"):
        read_content(wrong)
