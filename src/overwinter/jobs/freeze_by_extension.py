"""The window of a guest with the extension: it freezes and thaws by order, and by itself in every other case.

The host's guard stands by all the same: it thaws through the agent when both processes of the extension were
killed, and this one too.
"""

import time
from collections.abc import Callable
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
    with frozen(), guard:
        begun = time.monotonic()
        try:
            session.freeze(FREEZE_TIMEOUT_S)
        except FreezeFailed as error:
            session.give_up()
            ensure_thawed(hypervisor, vm_uuid, THAW_TIMEOUT_S)
            message = f"The guest could not be frozen: {error.message}."
            return crash_consistent(snapshot, JobError(error.code, message, error.cause))
        faults.place("window.frozen")
        try:
            snapshot()
            faults.place("window.snapshot-taken")
        finally:
            thawed = session.thaw(_CONFIRM_S)
            freeze_ms = round((time.monotonic() - begun) * 1000)
            if thawed is None or thawed.event is not Event.THAWED:
                ensure_thawed(hypervisor, vm_uuid, THAW_TIMEOUT_S)
        untouched = guard.release()
    try:
        ended = session.wait_ended(check)
    except JobCancelled:
        ended = None  # the snapshot exists; the job ends at its next look
    return _judged(thawed, ended, freeze_ms, untouched=untouched)


def _judged(thawed: Answer | None, ended: Answer | None, freeze_ms: int, *, untouched: bool) -> WindowResult:
    """The label that the whole window earned."""
    if thawed is None or thawed.event is not Event.THAWED:
        return _broken(freeze_ms, None, "The extension in the guest was lost while the guest was frozen")
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
        return _broken(freeze_ms, record, f"The guest thawed by itself before it was told to ({thawed.by})")
    if not (thawed.held and untouched):
        return _broken(freeze_ms, record, "Somebody thawed the guest before it was told to")
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


def _broken(freeze_ms: int, record: FreezeRecord | None, what: str) -> WindowResult:
    message = f"{what}, so the point is crash-consistent."
    return WindowResult(Consistency.CRASH, freeze_ms, (JobError(FreezeFailed.code, message),), record)
