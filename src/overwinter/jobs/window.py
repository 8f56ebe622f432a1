"""The freeze window: freeze, snapshot, thaw as three bounded calls, and what consistency they earned.

No path out of the window leaves the guest frozen: a guard process, started before the freeze, thaws by
itself when this process dies or the hard stop passes; the thaw here is repeated until the guest confirms it.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from overwinter.guest.agent import GuestAgent
from overwinter.guest.guard import FreezeGuard
from overwinter.jobs import faults
from overwinter.jobs.settings import FREEZE_HARD_STOP_S, FREEZE_TIMEOUT_S
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
            agent.freeze(FREEZE_TIMEOUT_S)
        except (FreezeFailed, GuestAgentUnavailable) as error:
            agent.ensure_thawed()
            return _crash_consistent(snapshot, error.code, f"The guest could not be frozen: {error.message}")
        faults.place("window.frozen")
        try:
            snapshot()
            faults.place("window.snapshot-taken")
        finally:
            thawed = _thaw(agent)
            elapsed_ms = round((time.monotonic() - begun) * 1000)
    if thawed < 1:
        message = (
            "The guest was thawed before the snapshot was confirmed (hard stop "
            f"{FREEZE_HARD_STOP_S:.0f} s or another program), so the point is crash-consistent."
        )
        return WindowResult(Consistency.CRASH, elapsed_ms, (JobError(FreezeFailed.code, message),))
    return WindowResult(Consistency.FILE_SYSTEM, elapsed_ms)


def _thaw(agent: GuestAgent) -> int:
    """Thaw, confirmed. Returns how many file systems were still frozen when the thaw came."""
    try:
        still_frozen = agent.thaw()
    except (GuestAgentUnavailable, GuestCommandFailed):
        still_frozen = 0
    agent.ensure_thawed()
    return still_frozen


def _crash_consistent(snapshot: Callable[[], None], code: str, message: str) -> WindowResult:
    snapshot()
    return WindowResult(Consistency.CRASH, None, (JobError(code, message),))
