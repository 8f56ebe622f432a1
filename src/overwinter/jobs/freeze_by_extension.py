"""The window of a guest with the extension: it freezes and thaws by order, and by itself in every other case.

The host's guard stands by all the same: it thaws through the agent when both processes of the extension were
killed, and this one too.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

from overwinter.guest.extension_package import extension_package
from overwinter.guest.freeze_answers import Answer, Event
from overwinter.guest.freeze_guard import FreezeGuard
from overwinter.guest.freeze_session import FreezeSession, script_error
from overwinter.guest.thaw import ensure_thawed
from overwinter.hypervisor.connection import Hypervisor
from overwinter.jobs import faults
from overwinter.jobs.freezing import (
    FREEZE_TIMEOUT_S,
    THAW_TIMEOUT_S,
    WindowResult,
    cause_of_early_thaw,
    crash_consistent,
    frozen,
)
from overwinter.model.errors import FreezeFailed, JobCancelled
from overwinter.model.freeze import FreezeMethod, FreezeRecord, ScriptsRecord
from overwinter.model.job import JobError
from overwinter.model.label import earned
from overwinter.model.point import Consistency

#: Seconds for the extension to confirm the thaw; then the agent is asked to thaw.
_CONFIRM_S = 5.0

#: What the extension says of a thaw that we ordered.
_BY_ORDER = "command"


def run(
    hypervisor: Hypervisor,
    vm_uuid: UUID,
    session: FreezeSession,
    snapshot: Callable[[], None],
    check: Callable[[], None],
) -> WindowResult:
    """Freeze the guest, take the snapshot, thaw, let the applications go on.

    ``session`` is ready. Raises what ``snapshot`` raises, and ThawUnconfirmed; the guard goes on thawing
    then.
    """
    try:
        return _run(hypervisor, vm_uuid, session, snapshot, check)
    finally:
        session.give_up()
        session.close()


def _run(
    hypervisor: Hypervisor,
    vm_uuid: UUID,
    session: FreezeSession,
    snapshot: Callable[[], None],
    check: Callable[[], None],
) -> WindowResult:
    try:
        guard = FreezeGuard.start(hypervisor.uri, vm_uuid)
    except FreezeFailed as error:
        return crash_consistent(snapshot, JobError.of(error))
    refused: FreezeFailed | None = None
    with frozen(), guard:
        begun = time.monotonic()
        try:
            session.freeze(FREEZE_TIMEOUT_S)
        except FreezeFailed as error:
            session.give_up()
            ensure_thawed(hypervisor, vm_uuid, THAW_TIMEOUT_S)
            refused = error
        else:
            faults.place("window.frozen")
            try:
                snapshot()
                faults.place("window.snapshot-taken")
            finally:
                held_s = time.monotonic() - begun
                thawed = session.thaw(_CONFIRM_S)
                freeze_ms = round((time.monotonic() - begun) * 1000)
                if thawed is None or thawed.event is not Event.THAWED:
                    ensure_thawed(hypervisor, vm_uuid, THAW_TIMEOUT_S)
        untouched = guard.release()
    # From here on nobody has to wait for this guest: a script may take half an hour.
    if refused is not None:
        message = f"The guest could not be frozen: {refused.message}."
        result = crash_consistent(snapshot, JobError(refused.code, message, refused.cause))
        return _with_scripts(result, _ended(session, check))
    cause = None
    if not (untouched and _thawed_by_order(thawed)):
        cause = cause_of_early_thaw(hypervisor, vm_uuid, held_s, untouched=untouched)
    return _judged(thawed, _ended(session, check), freeze_ms, cause, untouched=untouched)


def _ended(session: FreezeSession, check: Callable[[], None]) -> Answer | None:
    """What the session says when its applications go on; null when it does not, or nobody waits for it."""
    try:
        return session.wait_ended(check)
    except JobCancelled:
        return None  # the snapshot exists; the job ends at its next look


def _with_scripts(result: WindowResult, ended: Answer | None) -> WindowResult:
    """The result of a window without a freeze, with what went wrong with scripts."""
    if ended is None or not ended.scripts.code:
        return result
    record = FreezeRecord(FreezeMethod.EXTENSION, extension_package().version, scripts=ended.scripts)
    return replace(
        result, warnings=(*result.warnings, JobError.of(script_error(ended.scripts))), freeze=record
    )


def _thawed_by_order(thawed: Answer | None) -> bool:
    """Whether the guest says that all was frozen until it was told to thaw."""
    return thawed is not None and thawed.event is Event.THAWED and thawed.by == _BY_ORDER and thawed.held


def _judged(
    thawed: Answer | None, ended: Answer | None, freeze_ms: int, cause: str | None, *, untouched: bool
) -> WindowResult:
    """The label that the whole window earned; ``cause`` is what is behind a thaw without an order."""
    if thawed is None or thawed.event is not Event.THAWED:
        what = "The extension in the guest was lost while the guest was frozen"
        return _broken(freeze_ms, None, what, cause)
    scripts = ended.scripts if ended is not None else _UNTOLD
    record = FreezeRecord(
        method=FreezeMethod.EXTENSION,
        version=extension_package().version,
        guest_ms=thawed.ms,
        mounts=thawed.mounts,
        unlisted=thawed.unlisted,
        scripts=scripts,
    )
    if thawed.by != _BY_ORDER:
        what = f"The guest thawed by itself before it was told to ({thawed.by})"
        return _broken(freeze_ms, record, what, cause)
    if not (thawed.held and untouched):
        return _broken(freeze_ms, record, "Somebody thawed the guest before it was told to", cause)
    label = earned(record)
    warnings: list[JobError] = []
    if scripts.code:
        error = script_error(scripts)
        warnings.append(JobError.of(error))
    elif label.shortfall:
        warnings.append(JobError(FreezeFailed.code, label.shortfall, label.cause))
    return WindowResult(label.consistency, freeze_ms, tuple(warnings), record)


_UNTOLD = ScriptsRecord(
    configured=True, message="The extension in the guest did not tell how its scripts went."
)


def _broken(freeze_ms: int, record: FreezeRecord | None, what: str, cause: str | None) -> WindowResult:
    problem = JobError(FreezeFailed.code, f"{what}, so the point is crash-consistent.", cause)
    return WindowResult(Consistency.CRASH, freeze_ms, (problem,), record)
