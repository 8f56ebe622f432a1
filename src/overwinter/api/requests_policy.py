"""What clients ask for: the body of PUT policy, checked, and turned into a policy of the model."""

from uuid import UUID

from pydantic import AwareDatetime, ConfigDict, Field, NaiveDatetime

from overwinter.api.documents import ArmModel, JsonObject
from overwinter.api.requests import Word
from overwinter.model.errors import NotImplementedYet, RequestError
from overwinter.model.point import Consistency
from overwinter.model.policy import Policy, PolicyType

#: Days that a daily standard policy may keep restore points on the host.
MAX_INSTANT_DAYS = 5

Moment = AwareDatetime | NaiveDatetime


class _PolicyType(Word):
    V1 = "V1"
    V2 = "V2"


class _Consistency(Word):
    APPLICATION = Consistency.APPLICATION.value
    FILE_SYSTEM = Consistency.FILE_SYSTEM.value
    CRASH = Consistency.CRASH.value


class _DurationType(Word):
    DAYS = "Days"
    WEEKS = "Weeks"
    MONTHS = "Months"
    YEARS = "Years"


class _RetentionDuration(ArmModel):
    count: int = Field(ge=1, le=9999)
    duration_type: _DurationType


class _Schedule(ArmModel):
    schedule_policy_type: str = "SimpleSchedulePolicy"
    schedule_run_frequency: str
    schedule_run_days: list[str] | None = None
    schedule_run_times: list[Moment] = Field(min_length=1, max_length=1)
    schedule_weekly_frequency: int | None = None


class _DailyRetention(ArmModel):
    retention_times: list[Moment] | None = None
    retention_duration: _RetentionDuration


class _LongRetention(ArmModel):
    # Days, weeks and months are kept as they were sent, until the scheduler reads them.
    model_config = ConfigDict(extra="allow")

    retention_duration: _RetentionDuration


class _Retention(ArmModel):
    retention_policy_type: str = "LongTermRetentionPolicy"
    daily_schedule: _DailyRetention
    weekly_schedule: _LongRetention | None = None
    monthly_schedule: _LongRetention | None = None
    yearly_schedule: _LongRetention | None = None


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


class _Extension(ArmModel):
    required_consistency: _Consistency = _Consistency.CRASH


class _PolicyProperties(ArmModel):
    backup_management_type: str
    policy_type: _PolicyType = _PolicyType.V1
    time_zone: str = "UTC"
    instant_days: int = Field(default=2, ge=1, le=MAX_INSTANT_DAYS, alias="instantRpRetentionRangeInDays")
    group_names: _ServiceGroupNames | None = Field(default=None, alias="instantRPDetails")
    schedule_policy: _Schedule
    retention_policy: _Retention
    tiering_policy: _TieringPolicy | None = None
    overwinter: _Extension = _Extension()


class _TypeOnly(ArmModel):
    # Read first: the rest of the shape depends on the type.

    policy_type: _PolicyType = _PolicyType.V1


class _TypeRequest(ArmModel):
    properties: _TypeOnly


class PolicyRequest(ArmModel):
    """Body of PUT policy: a standard policy (V1) with one backup a day."""

    properties: _PolicyProperties


def read_policy(document: JsonObject, *, policy_id: UUID, vault_id: UUID, name: str) -> Policy:
    """The policy that a document describes.

    Raises RequestError when it contradicts itself, NotImplementedYet for kinds this version lacks.
    """
    if _TypeRequest.read(document).properties.policy_type is _PolicyType.V2:
        raise NotImplementedYet(
            "Enhanced policies (policyType V2) cannot be written in this version: use V1."
        )
    asked = PolicyRequest.read(document).properties
    if asked.backup_management_type.casefold() != "azureiaasvm":
        raise RequestError("The policy's backupManagementType must be AzureIaasVM.")
    if asked.schedule_policy.schedule_run_frequency.casefold() != "daily":
        raise NotImplementedYet(
            "This version knows daily schedules only: scheduleRunFrequency must be Daily."
        )
    daily = asked.retention_policy.daily_schedule.retention_duration
    if daily.duration_type is not _DurationType.DAYS:
        raise RequestError("The retention of dailySchedule is counted in Days.")
    if (
        asked.tiering_policy is not None
        and asked.tiering_policy.archive.tiering_mode.casefold() != "donottier"
    ):
        raise NotImplementedYet("This version has no archive tier: the tieringMode must be DoNotTier.")
    return Policy(
        id=policy_id,
        vault_id=vault_id,
        name=name,
        type=PolicyType.V1,
        instant_retention_days=asked.instant_days,
        daily_retention_days=daily.count,
        required_consistency=_reachable(Consistency(asked.overwinter.required_consistency.value)),
        document=asked.model_dump(mode="json", by_alias=True, exclude_none=True),
    )


def _reachable(consistency: Consistency) -> Consistency:
    if consistency is Consistency.APPLICATION:
        raise NotImplementedYet(
            "Application-consistent points are not possible in this version: no backup would do."
        )
    return consistency
