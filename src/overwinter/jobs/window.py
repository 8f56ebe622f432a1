"""The freeze window: freeze, snapshot, thaw as three bounded calls, and what consistency they earned.

No path out of the window leaves the guest frozen: a guard process, started before the freeze, thaws by
itself when this process dies or the hard stop passes; the thaw here is repeated until the guest confirms it.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from overwinter.guest import FreezeGuard, GuestAgent
from overwinter.jobs import faults
from overwinter.jobs.settings import FREEZE_HARD_STOP_S
from overwinter.model.errors import FreezeFailed, GuestAgentUnavailable, GuestCommandFailed
from overwinter.model.job import JobError
from overwinter.model.point import Consistency


@dataclass(frozen=True)
class WindowResult:
    """What was achieved; ``freeze_ms`` is null when nothing was frozen."""

    consistency: Consistency
    freeze_ms: int | None
    warnings: tuple[JobError, ...] = ()


def run(agent: GuestAgent, guard: Callable[[], FreezeGuard], snapshot: Callable[[], None]) -> WindowResult:
    """Freeze the guest, take the snapshot, thaw.

    A guest that cannot be frozen still gets its snapshot: crash-consistent, with a warning that says so. The
    label file-system-consistent needs three facts: file systems were frozen, the snapshot succeeded, and the
    thaw found them still frozen, that is, nobody thawed in between.
    """
    with guard():
        begun = time.monotonic()
        try:
            frozen = agent.freeze()
        except (FreezeFailed, GuestCommandFailed, GuestAgentUnavailable) as error:
            agent.ensure_thawed()
            return _crash_consistent(snapshot, error.code, f"The guest could not be frozen: {error.message}")
        faults.place("window.frozen")
        try:
            snapshot()
            faults.place("window.snapshot-taken")
        finally:
            thawed = agent.ensure_thawed()
            elapsed_ms = round((time.monotonic() - begun) * 1000)
    if frozen < 1:
        message = "The guest agent froze no file system, so the point is crash-consistent."
        return WindowResult(Consistency.CRASH, elapsed_ms, (JobError(FreezeFailed.code, message),))
    if thawed < 1:
        message = (
            "The guest was thawed before the snapshot was confirmed (hard stop "
            f"{FREEZE_HARD_STOP_S:.0f} s or another program), so the point is crash-consistent."
        )
        return WindowResult(Consistency.CRASH, elapsed_ms, (JobError(FreezeFailed.code, message),))
    return WindowResult(Consistency.FILE_SYSTEM, elapsed_ms)


def _crash_consistent(snapshot: Callable[[], None], code: str, message: str) -> WindowResult:
    snapshot()
    return WindowResult(Consistency.CRASH, None, (JobError(code, message),))
