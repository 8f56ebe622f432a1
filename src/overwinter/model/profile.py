"""Support profiles: what a service of a certain edition supports, and how it behaves at its limits.

``overwinter`` is our own and the default. ``2018`` to ``2021`` behave as the editions of the reference
articles say, for those who move from Azure, train for it or test against it. A service has one profile.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from overwinter.model.errors import NotFound
from overwinter.model.policy import Policy, PolicyType
from overwinter.model.protection import StackVersion

_GIB = 1 << 30
_TIB = 1 << 40


@dataclass(frozen=True)
class DiskLimits:
    """The largest disks in bytes, null for no limit; exactly that size is allowed."""

    largest: int | None = None
    largest_encrypted: int | None = None
    standard_ssd: bool = True


@dataclass(frozen=True)
class SupportProfile:
    """One profile.

    ``new_stack`` is what new vaults have; ``limits`` what their stacks support. ``instant_days`` gives, by
    policy type, the fewest and most days in the snapshot tier; a type that is missing is not offered.

    ``makes_room``: a backup that finds the VM at its restore point limit cleans up first, and lets go of the
    oldest points that the vault holds too. Else it fails once and starts a clean-up of what has expired.

    ``needs_agent``: a running VM whose guest agent is silent is not backed up. Else the policy decides.

    ``other_codes`` says which code is written in the place of one that the edition did not have or spelled
    otherwise; ``causes`` in which order the edition looked for the causes of a code (ids of the code book).
    """

    name: str
    limits: Mapping[StackVersion, DiskLimits]
    instant_days: Mapping[PolicyType, tuple[int, int]]
    makes_room: bool
    needs_agent: bool
    new_stack: StackVersion = StackVersion.V2
    other_codes: Mapping[str, str] = field(default_factory=dict)
    causes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def code(self, code: str) -> str:
        """The code that this profile writes for a code of the code book."""
        return self.other_codes.get(code, code)

    def disk_limits(self, stack: StackVersion) -> DiskLimits:
        """What a vault of that stack supports; where only V2 exists, an old vault counts as one of it."""
        return self.limits.get(stack, self.limits[StackVersion.V2])

    def kept_days(self, policy: Policy) -> int:
        """Days that a policy's points stay in the snapshot tier, within what the profile allows."""
        fewest, most = self.instant_days.get(policy.type, (1, policy.instant_retention_days))
        return max(fewest, min(most, policy.instant_retention_days))


_INTERNAL = "BackUpOperationFailed"
_MANAGED_DISKS = "ExtensionOperationFailedForManagedDisks"

_LATER_CODES = {
    "UserErrorVmProvisioningStateFailed": _INTERNAL,
    "UserErrorCrpReportedUserError": _INTERNAL,
    "UserErrorBcmDatasourceNotPresent": _INTERNAL,
    _MANAGED_DISKS: "ExtentionOperationFailedForManagedDisks",
}

_AGENT = ("C-WIN-AGENT", "C-LIN-AGENT")

#: Causes by code, as the editions of 2018 and 2019 order them.
_OLD_CAUSES = {
    "UserErrorGuestAgentStatusUnavailable": (*_AGENT, "C-SNAP", "C-EXT-LOAD", "C-NO-NET"),
    "GuestAgentSnapshotTaskStatusError": (*_AGENT, "C-NO-NET"),
    "UserErrorRpCollectionLimitReached": ("C-RG-LOCK", "C-MULTI-DAY"),
    "UserErrorKeyvaultPermissionsNotConfigured": ("C-KV-PERM",),
    "ExtensionSnapshotFailedNoNetwork": ("C-SNAP", "C-EXT-LOAD", "C-NO-NET"),
    _MANAGED_DISKS: ("C-SNAP", "C-EXT-LOAD", *_AGENT),
    "BackUpOperationFailed": (*_AGENT, "C-SNAP", "C-EXT-LOAD", "C-RG-LOCK", "C-NO-NET"),
    "BackUpOperationFailedV2": (*_AGENT, "C-SNAP", "C-EXT-LOAD", "C-RG-LOCK", "C-NO-NET"),
    "UserErrorUnsupportedDiskSize": ("C-DISK-BIG",),
}

_JOB_RUNNING = ("C-JOB-RUNNING", "C-JOB-OTHER-VAULT", "C-OVERLAP")

#: As the editions of 2020 and 2021 order them.
_NEW_CAUSES = {
    "UserErrorGuestAgentStatusUnavailable": ("C-AGENT-STATE", "C-EXT-FAILED"),
    "GuestAgentSnapshotTaskStatusError": (*_AGENT, "C-SNAP", "C-LIN-CONF", "C-APPCTRL"),
    "UserErrorVmProvisioningStateFailed": ("C-EXT-FAILED", "C-VM-UPDATING"),
    "UserErrorRpCollectionLimitReached": ("C-RG-LOCK", "C-MULTI-DAY", "C-RP-18"),
    "UserErrorKeyvaultPermissionsNotConfigured": ("C-KV-PERM",),
    "ExtensionSnapshotFailedNoNetwork": ("C-SNAP",),
    _MANAGED_DISKS: ("C-SNAP", *_AGENT),
    "BackUpOperationFailed": (*_AGENT, "C-SNAP", "C-RG-LOCK"),
    "BackUpOperationFailedV2": (*_AGENT, "C-SNAP", "C-RG-LOCK"),
    "UserErrorUnsupportedDiskSize": ("C-DISK-BIG", "C-DISK-ENC-BIG"),
    "UserErrorBackupOperationInProgress": _JOB_RUNNING,
    "UserErrorCrpReportedUserError": ("C-INNER",),
    "UserErrorBcmDatasourceNotPresent": ("C-NOT-PROTECTED", "C-VM-PAUSED"),
}


def _edition(
    name: str,
    limits: Mapping[StackVersion, DiskLimits],
    days: tuple[int, int],
    causes: Mapping[str, tuple[str, ...]],
    other_codes: Mapping[str, str],
    new_stack: StackVersion = StackVersion.V2,
) -> SupportProfile:
    return SupportProfile(
        name=name,
        limits=limits,
        instant_days={PolicyType.V1: days},
        makes_room=False,
        needs_agent=True,
        new_stack=new_stack,
        other_codes=other_codes,
        causes=causes,
    )


_LARGE = {StackVersion.V2: DiskLimits(32 * _TIB, 4 * _TIB)}

OVERWINTER = SupportProfile(
    name="overwinter",
    limits={StackVersion.V2: DiskLimits()},
    instant_days={PolicyType.V1: (1, 5), PolicyType.V2: (1, 30)},
    makes_room=True,
    needs_agent=False,
)

PROFILES = (
    OVERWINTER,
    _edition(
        "2018",
        {StackVersion.V1: DiskLimits(1023 * _GIB, standard_ssd=False), StackVersion.V2: DiskLimits(4 * _TIB)},
        (7, 7),
        {
            **_OLD_CAUSES,
            "UserErrorUnsupportedDiskSize": ("C-DISK-BIG", "C-STACK-V1"),
            "UserErrorStandardSSDNotSupported": ("C-STACK-V1",),
        },
        {**_LATER_CODES, "UserErrorBackupOperationInProgress": _INTERNAL},
        new_stack=StackVersion.V1,
    ),
    _edition(
        "2019",
        {StackVersion.V2: DiskLimits(4095 * _GIB)},
        (1, 5),
        {**_OLD_CAUSES, "UserErrorBackupOperationInProgress": _JOB_RUNNING},
        _LATER_CODES,
    ),
    _edition("2020", _LARGE, (1, 5), _NEW_CAUSES, {}),
    _edition("2021", _LARGE, (1, 5), _NEW_CAUSES, {}),
)


def find_profile(name: str) -> SupportProfile:
    """The profile of that name. Raises NotFound, which lists the names."""
    for profile in PROFILES:
        if profile.name == name:
            return profile
    known = ", ".join(profile.name for profile in PROFILES)
    raise NotFound(f"There is no support profile {name!r}. Those that exist: {known}.")
