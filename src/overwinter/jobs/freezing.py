"""What the two ways of freezing a guest share: their limits, their result, and who waits for them."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

from overwinter.guest.freeze_guard import HARD_STOP_S
from overwinter.guest.thaw import is_off
from overwinter.hypervisor.connection import Hypervisor
from overwinter.model.errors import HypervisorUnavailable
from overwinter.model.freeze import FreezeRecord
from overwinter.model.job import JobError
from overwinter.model.point import Consistency

#: Seconds the guest may take to freeze; well below the hard stop, for nobody can thaw while libvirt waits.
FREEZE_TIMEOUT_S = 5

#: Seconds to go on thawing a guest that does not confirm; the guard goes on for longer.
THAW_TIMEOUT_S = 60.0

_changed = threading.Condition()
_windows = 0


@contextmanager
def frozen() -> Iterator[None]:
    """While a guest of this process may be frozen; several may be at once, none waits for another."""
    global _windows
    with _changed:
        _windows += 1
    try:
        yield
    finally:
        with _changed:
            _windows -= 1
            _changed.notify_all()


@contextmanager
def none_frozen() -> Iterator[None]:
    """Wait until no guest is frozen, and keep it so within the block; for ending the process."""
    with _changed:
        _changed.wait_for(lambda: _windows == 0)
        yield


@dataclass(frozen=True)
class WindowResult:
    """What was achieved.

    ``freeze_ms`` is the host's time from the order to freeze until the thaw was confirmed, null when nothing
    was frozen; ``freeze`` what the guest tells of it.
    """

    consistency: Consistency
    freeze_ms: int | None
    warnings: tuple[JobError, ...] = ()
    freeze: FreezeRecord | None = None


def crash_consistent(snapshot: Callable[[], None], *warnings: JobError) -> WindowResult:
    """Take the snapshot of a guest that does not stand still."""
    snapshot()
    return WindowResult(Consistency.CRASH, None, warnings)


def cause_of_early_thaw(
    hypervisor: Hypervisor, vm_uuid: UUID, held_s: float, *, untouched: bool
) -> str | None:
    """What is behind a thaw that came before the order to, ``held_s`` seconds after the order to freeze.

    ``untouched``: the guard was not set off. Only what the host has seen itself counts.
    """
    try:
        if is_off(hypervisor, vm_uuid):
            return "C-VM-OFF"
    except HypervisorUnavailable:
        return None
    if held_s >= HARD_STOP_S:
        return "C-HOST-STALLED"
    return "C-AGENT-ERROR" if untouched else None  # nobody on the host thawed
