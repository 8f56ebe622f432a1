"""Which snapshots are offered for restore, and with which error a backup fails whose snapshot is not."""

from overwinter.guest.freeze_session import script_error
from overwinter.model.errors import (
    ApplicationNotAtRest,
    ExtensionFailed,
    FreezeFailed,
    OverwinterError,
    ScriptFailed,
    SnapshotStatusUnknown,
)
from overwinter.model.freeze import FreezeRecord
from overwinter.model.job import JobError
from overwinter.model.point import Consistency
from overwinter.model.policy import Policy

_KINDS: tuple[type[OverwinterError], ...] = (
    ApplicationNotAtRest,
    ExtensionFailed,
    SnapshotStatusUnknown,
    FreezeFailed,
    *FreezeFailed.__subclasses__(),
    ScriptFailed,
    *ScriptFailed.__subclasses__(),
)

#: What can say of a snapshot why it is worth less than it could be, by code.
REASONS = {kind.code: kind for kind in _KINDS}


def refusal(
    policy: Policy, reached: Consistency, warnings: tuple[JobError, ...], freeze: FreezeRecord | None
) -> OverwinterError | None:
    """Why a snapshot is not offered for restore; null when it is.

    It is below the policy's level, or the guest wants no backup after its scripts failed.
    """
    if freeze is not None and freeze.scripts.refuse:
        return script_error(freeze.scripts)
    if reached.satisfies(policy.required_consistency):
        return None
    return _missed(policy, reached, warnings, freeze)


def note(error: OverwinterError) -> dict[str, object]:
    """A refusal for a job to remember."""
    return {"code": error.code, "message": error.message, "cause": error.cause}


def noted(remembered: object) -> OverwinterError:
    """A refusal that a job remembered."""
    match remembered:
        case {"code": str(code), "message": str(message), "cause": str() | None as cause} if code in REASONS:
            return REASONS[code](message, cause=cause)
    return FreezeFailed("The snapshot does not reach what its policy requires.")


def _missed(
    policy: Policy, reached: Consistency, warnings: tuple[JobError, ...], freeze: FreezeRecord | None
) -> OverwinterError:
    """Its code is that of the last warning of the freeze: what came after made up for what failed first."""
    required = policy.required_consistency
    what = f"Policy {policy.name} requires {required} points, but only {reached} was reached."
    said = " ".join(warning.message for warning in warnings)
    reasons = [warning for warning in warnings if warning.code in REASONS]
    if reasons:
        return REASONS[reasons[-1].code](f"{what} {said}", cause=reasons[-1].cause)
    if reached is Consistency.FILE_SYSTEM:
        why = freeze.reason if freeze is not None and freeze.reason else "None are configured there."
        cause = "C-NO-SCRIPTS" if freeze is None or not freeze.reason else "C-EXT-UNABLE"
        message = f"{what} No scripts ran in the guest. {why} {said}".strip()
        return ApplicationNotAtRest(message, cause=cause)
    return FreezeFailed(f"{what} {said}".strip())
