"""The window of a guest without the extension: the agent's own freeze, under the host's guard."""

import time
from collections.abc import Callable
from uuid import UUID

from overwinter.guest.agent import GuestAgent
from overwinter.guest.freeze_guard import HARD_STOP_S, FreezeGuard
from overwinter.guest.thaw import ensure_thawed, is_off
from overwinter.guest.vss import freeze_failure
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
from overwinter.model.errors import (
    FreezeFailed,
    GuestAgentUnavailable,
    GuestCommandFailed,
    OverwinterError,
    SnapshotStatusUnknown,
)
from overwinter.model.freeze import FreezeMethod, FreezeRecord
from overwinter.model.job import JobError
from overwinter.model.point import Consistency


def run(
    hypervisor: Hypervisor, vm_uuid: UUID, snapshot: Callable[[], None], *, reason: str = ""
) -> WindowResult:
    """Freeze the guest, take the snapshot, thaw; ``reason`` says why the extension does not do it.

    A guest that cannot be frozen still gets its snapshot: crash-consistent, with a warning that says so. The
    label file-system-consistent needs three facts: file systems were frozen, the snapshot succeeded, and the
    thaw found them still frozen with the guard never set off, that is, nobody thawed in between.

    Raises what ``snapshot`` raises, and ThawUnconfirmed; the guard goes on thawing then.
    """
    agent = GuestAgent(hypervisor, vm_uuid)
    try:
        guard = FreezeGuard.start(hypervisor.uri, vm_uuid)
    except FreezeFailed as error:
        return crash_consistent(snapshot, JobError.of(error))
    with frozen(), guard:
        begun = time.monotonic()
        try:
            agent.freeze(FREEZE_TIMEOUT_S)
        except GuestAgentUnavailable as error:
            ensure_thawed(hypervisor, vm_uuid, THAW_TIMEOUT_S)
            if is_off(hypervisor, vm_uuid):  # then nobody owes an answer
                return crash_consistent(snapshot, JobError(FreezeFailed.code, _refused(error), "C-VM-OFF"))
            return crash_consistent(snapshot, JobError(SnapshotStatusUnknown.code, _refused(error)))
        except FreezeFailed as error:
            # The agent undoes what it froze before it reports a failure: what is frozen now, others hold.
            try:
                held, _ = _thaw(agent)
            finally:
                ensure_thawed(hypervisor, vm_uuid, THAW_TIMEOUT_S)
            cause = "C-FS-FROZEN" if held else error.cause
            return crash_consistent(snapshot, JobError(error.code, _refused(error), cause))
        faults.place("window.frozen")
        try:
            snapshot()
            faults.place("window.snapshot-taken")
        finally:
            held_s = time.monotonic() - begun
            still_frozen, words = _thaw(agent)
            freeze_ms = round((time.monotonic() - begun) * 1000)
            ensure_thawed(hypervisor, vm_uuid, THAW_TIMEOUT_S)
        untouched = guard.release()
    record = FreezeRecord(FreezeMethod.AGENT, reason=reason)
    if untouched and still_frozen > 0:
        return WindowResult(Consistency.FILE_SYSTEM, freeze_ms, freeze=record)
    message = (
        f"The guest was thawed before the snapshot was confirmed (after {HARD_STOP_S:.0f} s the guard does "
        f"that, or another program did), so the point is crash-consistent.{words}"
    )
    failure = freeze_failure(words)
    cause = cause_of_early_thaw(hypervisor, vm_uuid, held_s, untouched=untouched)
    problem = JobError(failure.code, message, cause if failure is FreezeFailed else None)
    return WindowResult(Consistency.CRASH, freeze_ms, (problem,), record)


def _refused(error: OverwinterError) -> str:
    return f"The guest could not be frozen: {error.message}"


def _thaw(agent: GuestAgent) -> tuple[int, str]:
    """Thaw once: how many file systems were still frozen when the thaw came, and the agent's complaint."""
    try:
        return agent.thaw(), ""
    except GuestAgentUnavailable:
        return 0, ""  # the caller goes on until the thaw is confirmed
    except GuestCommandFailed as error:
        # Windows may have given up the freeze long before; its agent says so only now.
        return 0, f" The guest agent says: {error.message}"
