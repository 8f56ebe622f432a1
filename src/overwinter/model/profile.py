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
    otherwise; ``edition`` whose order the code book takes for the causes of a code, null for our own.
    """

    name: str
    limits: Mapping[StackVersion, DiskLimits]
    instant_days: Mapping[PolicyType, tuple[int, int]]
    makes_room: bool
    needs_agent: bool
    new_stack: StackVersion = StackVersion.V2
    other_codes: Mapping[str, str] = field(default_factory=dict)
    edition: str | None = None

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


def _edition(
    name: str,
    limits: Mapping[StackVersion, DiskLimits],
    days: tuple[int, int],
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
        edition=name,
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
        {**_LATER_CODES, "UserErrorBackupOperationInProgress": _INTERNAL},
        new_stack=StackVersion.V1,
    ),
    _edition(
        "2019",
        {StackVersion.V2: DiskLimits(4095 * _GIB)},
        (1, 5),
        _LATER_CODES,
    ),
    _edition("2020", _LARGE, (1, 5), {}),
    _edition("2021", _LARGE, (1, 5), {}),
)


def find_profile(name: str) -> SupportProfile:
    """The profile of that name. Raises NotFound, which lists the names."""
    for profile in PROFILES:
        if profile.name == name:
            return profile
    known = ", ".join(profile.name for profile in PROFILES)
    raise NotFound(f"There is no support profile {name!r}. Those that exist: {known}.")
