"""What clients ask for: the body of PUT policy. Its form is checked here, its sense by the model."""

from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, Field, NaiveDatetime

from overwinter.api.documents import ArmModel, JsonObject
from overwinter.model.calendar_words import Month, Weekday, WeekOfMonth
from overwinter.model.errors import NotImplementedYet, PolicyInvalid, RequestError
from overwinter.model.extension import WithoutAgent
from overwinter.model.long_term import Unit
from overwinter.model.point import Consistency
from overwinter.model.policy import Policy, PolicyType
from overwinter.model.policy_document import MANAGEMENT_TYPE, ONLY_CRASH_CONSISTENT, SCHEDULE_TYPES
from overwinter.model.policy_reading import read_policy as read_document
from overwinter.model.schedule import Frequency

Moment = AwareDatetime | NaiveDatetime

#: More than any count of a policy may be; the model says what each may.
_ANY = 10**6


def _one_of(*words: str) -> AfterValidator:
    """A fixed word that clients spell in any letter case."""
    known = {word.casefold(): word for word in words}

    def read(text: str) -> str:
        if text.casefold() not in known:
            raise ValueError(f"must be one of {', '.join(words)}")
        return known[text.casefold()]

    return AfterValidator(read)


_PolicyType = Annotated[str, _one_of(*PolicyType)]
_ManagementType = Annotated[str, _one_of(MANAGEMENT_TYPE)]
_SnapshotConsistency = Annotated[str, _one_of(ONLY_CRASH_CONSISTENT)]
_Consistency = Annotated[str, _one_of(*Consistency)]
_WithoutAgent = Annotated[str, _one_of(*WithoutAgent)]
_ScheduleType = Annotated[str, _one_of(*SCHEDULE_TYPES.values())]
_Format = Annotated[str, _one_of("Daily", "Weekly")]
_Frequency = Annotated[str, _one_of(*Frequency)]
_Unit = Annotated[str, _one_of(*Unit)]
_Weekday = Annotated[str, _one_of(*(day.title for day in Weekday))]
_Week = Annotated[str, _one_of(*(week.title for week in WeekOfMonth))]
_Month = Annotated[str, _one_of(*(month.title for month in Month))]


class _RetentionDuration(ArmModel):
    count: int = Field(ge=1, le=_ANY)
    duration_type: _Unit


class _RunTimes(ArmModel):
    schedule_run_days: list[_Weekday] | None = None
    schedule_run_times: list[Moment] | None = None


class _HourlySchedule(ArmModel):
    interval: int = Field(ge=1, le=_ANY)
    schedule_window_start_time: Moment
    schedule_window_duration: int = Field(ge=1, le=_ANY)


class _Schedule(_RunTimes):
    schedule_policy_type: _ScheduleType | None = None
    schedule_run_frequency: _Frequency
    schedule_weekly_frequency: int | None = None
    hourly_schedule: _HourlySchedule | None = None
    daily_schedule: _RunTimes | None = None
    weekly_schedule: _RunTimes | None = None


class _DailyRetention(ArmModel):
    retention_times: list[Moment] | None = None
    retention_duration: _RetentionDuration


class _WeeklyRetention(_DailyRetention):
    days_of_the_week: list[_Weekday] | None = None


class _Day(ArmModel):
    date: int = Field(default=0, ge=0, le=_ANY)
    is_last: bool = False


class _DaysOfMonth(ArmModel):
    days_of_the_month: list[_Day] | None = None


class _WeekdaysOfMonth(ArmModel):
    days_of_the_week: list[_Weekday] | None = None
    weeks_of_the_month: list[_Week] | None = None


class _MonthlyRetention(_DailyRetention):
    retention_schedule_format_type: _Format
    retention_schedule_daily: _DaysOfMonth | None = None
    retention_schedule_weekly: _WeekdaysOfMonth | None = None


class _YearlyRetention(_MonthlyRetention):
    months_of_year: list[_Month] | None = None


class _Retention(ArmModel):
    retention_policy_type: str = "LongTermRetentionPolicy"
    daily_schedule: _DailyRetention | None = None
    weekly_schedule: _WeeklyRetention | None = None
    monthly_schedule: _MonthlyRetention | None = None
    yearly_schedule: _YearlyRetention | None = None


class _ServiceGroupNames(ArmModel):
    # A number comes in between; together they must be the name of a resource group.
    prefix: str | None = Field(
        default=None, alias="azureBackupRGNamePrefix", max_length=60, pattern=r"^[A-Za-z0-9_().-]+$"
    )
    suffix: str | None = Field(
        default=None,
        alias="azureBackupRGNameSuffix",
        max_length=14,
        pattern=r"^[A-Za-z0-9_().-]*[A-Za-z0-9_()-]$",
    )


class _Tiering(ArmModel):
    tiering_mode: str
    duration: int | None = None
    duration_type: str | None = None


class _TieringPolicy(ArmModel):
    archive: _Tiering = Field(alias="ArchivedRP")


class _Window(ArmModel):
    start: str
    end: str


class _Extension(ArmModel):
    required_consistency: _Consistency | None = None
    without_agent: _WithoutAgent | None = None
    retries: int | None = Field(default=None, ge=0, le=_ANY)
    bandwidth_limit: int | None = Field(default=None, ge=1, le=2**60)
    backup_window: _Window | None = None
    automatic_repair: bool | None = None


class _PolicyProperties(ArmModel):
    backup_management_type: _ManagementType
    policy_type: _PolicyType = PolicyType.V1
    time_zone: str = "UTC"
    instant_days: int | None = Field(default=None, ge=0, le=_ANY, alias="instantRpRetentionRangeInDays")
    snapshot_consistency_type: _SnapshotConsistency | None = None
    group_names: _ServiceGroupNames | None = Field(default=None, alias="instantRPDetails")
    schedule_policy: _Schedule
    retention_policy: _Retention
    tiering_policy: _TieringPolicy | None = None
    overwinter: _Extension = _Extension()


class _PolicyRequest(ArmModel):
    properties: _PolicyProperties


def read_policy(document: JsonObject, *, policy_id: UUID, vault_id: UUID, name: str) -> Policy:
    """The policy that a document describes.

    Raises PolicyInvalid when it cannot be, NotImplementedYet for what this version lacks.
    """
    try:
        asked = _PolicyRequest.read(document).properties
    except RequestError as error:
        raise PolicyInvalid(error.message) from None
    tiering = asked.tiering_policy
    if tiering is not None and tiering.archive.tiering_mode.casefold() != "donottier":
        raise NotImplementedYet("This version has no archive tier: the tieringMode must be DoNotTier.")
    canonical = asked.model_dump(mode="json", by_alias=True, exclude_none=True)
    # Clients take the kind of schedule from this word, so it is there also where it was not sent.
    canonical["schedulePolicy"].setdefault(
        "schedulePolicyType", SCHEDULE_TYPES[PolicyType(asked.policy_type)]
    )
    return read_document(canonical, policy_id=policy_id, vault_id=vault_id, name=name)
