"""How long a merge may take, how fast it may go, who may stop it, and who is told."""

from collections.abc import Callable
from dataclasses import dataclass


def _never() -> bool:
    return False


def _nobody(_done: int, _total: int) -> None:
    return None


@dataclass(frozen=True)
class MergeLimits:
    """Bounds of one merge.

    ``timeout_s``: seconds for the whole merge. ``bandwidth``: bytes per second a running VM's merge may copy,
    0 for no limit. ``cancelled`` is asked several times a second. ``progress`` is told (done, total) in the
    units of QEMU, roughly bytes; the total may grow while the guest writes.
    """

    timeout_s: float
    bandwidth: int = 0
    cancelled: Callable[[], bool] = _never
    progress: Callable[[int, int], None] = _nobody
