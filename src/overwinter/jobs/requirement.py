"""What a policy requires of a snapshot, and with which code a backup fails that reached less."""

from overwinter.model.errors import (
    ApplicationNotAtRest,
    ComFailed,
    ExtensionFailed,
    FreezeFailed,
    OverwinterError,
    PostScriptFailed,
    PostScriptNotFound,
    PostScriptPermission,
    PostScriptTimeout,
    PreScriptNotFound,
    PreScriptPermission,
    PreScriptTimeout,
    ScriptConfigInvalid,
    ScriptFailed,
    ScriptHostFileInvalid,
    SnapshotStatusUnknown,
    VssServiceFailed,
    VssWriterFailed,
)
from overwinter.model.freeze import FreezeRecord
from overwinter.model.job import JobError
from overwinter.model.point import Consistency
from overwinter.model.policy import Policy

#: Warnings of a freeze that say why it is worth less than it could be.
_REASONS: dict[str, type[OverwinterError]] = {
    kind.code: kind
    for kind in (
        ExtensionFailed,
        FreezeFailed,
        SnapshotStatusUnknown,
        ComFailed,
        VssServiceFailed,
        VssWriterFailed,
        ScriptFailed,
        PreScriptNotFound,
        PreScriptPermission,
        PreScriptTimeout,
        PostScriptFailed,
        PostScriptNotFound,
        PostScriptPermission,
        PostScriptTimeout,
        ScriptHostFileInvalid,
        ScriptConfigInvalid,
    )
}


def missed(
    policy: Policy, reached: Consistency, warnings: tuple[JobError, ...], freeze: FreezeRecord | None
) -> OverwinterError:
    """The error of a backup whose snapshot does not reach what its policy requires.

    Its code is that of the last warning of the freeze: what failed first was made up for by what came after.
    """
    required = policy.required_consistency
    what = f"Policy {policy.name} requires {required} points, but only {reached} was reached."
    said = " ".join(warning.message for warning in warnings)
    reasons = [warning for warning in warnings if warning.code in _REASONS]
    if reasons:
        return _REASONS[reasons[-1].code](f"{what} {said}", cause=reasons[-1].cause)
    if reached is Consistency.FILE_SYSTEM:
        why = freeze.reason if freeze is not None and freeze.reason else "None are configured there."
        cause = "C-NO-SCRIPTS" if freeze is None or not freeze.reason else "C-EXT-UNABLE"
        message = f"{what} No scripts ran in the guest. {why} {said}".strip()
        return ApplicationNotAtRest(message, cause=cause)
    return FreezeFailed(f"{what} {said}".strip())
