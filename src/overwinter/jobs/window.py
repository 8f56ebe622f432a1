"""The freeze window: freeze, snapshot, thaw as three bounded calls, and what consistency they earned.

No path out of the window leaves the guest frozen: a guard process, started before the freeze, thaws by
itself when this process dies or the hard stop passes; the thaw here is repeated until the guest confirms it.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

from overwinter.guest.agent import GuestAgent
from overwinter.guest.freeze_guard import HARD_STOP_S, FreezeGuard
from overwinter.guest.thaw import ensure_thawed
from overwinter.hypervisor.connection import Hypervisor
from overwinter.jobs import faults
from overwinter.model.errors import (
    FreezeFailed,
    GuestAgentUnavailable,
    GuestCommandFailed,
    SnapshotStatusUnknown,
)
from overwinter.model.job import JobError
from overwinter.model.point import Consistency

#: Seconds the agent may take to freeze; well below the hard stop, for nobody can thaw while libvirt waits.
FREEZE_TIMEOUT_S = 5

#: Seconds to go on thawing a guest that does not confirm; the guard goes on for longer.
THAW_TIMEOUT_S = 60.0


#: Held while a guest of this process may be frozen.
_frozen = threading.Lock()


@contextmanager
def none_frozen() -> Iterator[None]:
    """Wait until no guest is frozen, and keep it so within the block; for ending the process."""
    with _frozen:
        yield


@dataclass(frozen=True)
class WindowResult:
    """What was achieved; ``freeze_ms`` is null when nothing was frozen."""

    consistency: Consistency
    freeze_ms: int | None
    warnings: tuple[JobError, ...] = ()


def run(hypervisor: Hypervisor, vm_uuid: UUID, snapshot: Callable[[], None]) -> WindowResult:
    """Freeze the guest, take the snapshot, thaw.

    A guest that cannot be frozen still gets its snapshot: crash-consistent, with a warning that says so. The
    label file-system-consistent needs three facts: file systems were frozen, the snapshot succeeded, and the
    thaw found them still frozen with the guard never set off, that is, nobody thawed in between.

    Raises what ``snapshot`` raises, and ThawUnconfirmed; the guard goes on thawing then.
    """
    agent = GuestAgent(hypervisor, vm_uuid)
    try:
        guard = FreezeGuard.start(hypervisor.uri, vm_uuid)
    except FreezeFailed as error:
        return _crash_consistent(snapshot, error.code, error.message)
    with _frozen, guard:
        begun = time.monotonic()
        try:
            agent.freeze(FREEZE_TIMEOUT_S)
        except (FreezeFailed, GuestAgentUnavailable) as error:
            ensure_thawed(hypervisor, vm_uuid, THAW_TIMEOUT_S)
            code = FreezeFailed.code if isinstance(error, FreezeFailed) else SnapshotStatusUnknown.code
            return _crash_consistent(snapshot, code, f"The guest could not be frozen: {error.message}")
        faults.place("window.frozen")
        try:
            snapshot()
            faults.place("window.snapshot-taken")
        finally:
            still_frozen = _thaw(agent)
            freeze_ms = round((time.monotonic() - begun) * 1000)
            ensure_thawed(hypervisor, vm_uuid, THAW_TIMEOUT_S)
        untouched = guard.release()
    if untouched and still_frozen > 0:
        return WindowResult(Consistency.FILE_SYSTEM, freeze_ms)
    message = (
        f"The guest was thawed before the snapshot was confirmed (after {HARD_STOP_S:.0f} s the guard does "
        "that, or another program did), so the point is crash-consistent."
    )
    return WindowResult(Consistency.CRASH, freeze_ms, (JobError(FreezeFailed.code, message),))


def _thaw(agent: GuestAgent) -> int:
    """Thaw once. Returns how many file systems were still frozen when the thaw came."""
    try:
        return agent.thaw()
    except (GuestAgentUnavailable, GuestCommandFailed):
        return 0  # the caller goes on until the thaw is confirmed


def _crash_consistent(snapshot: Callable[[], None], code: str, message: str) -> WindowResult:
    snapshot()
    return WindowResult(Consistency.CRASH, None, (JobError(code, message),))
