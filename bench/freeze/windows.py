"""The freeze window with and without the extension, and the extension's installation.

A window is everything a backup does between the order to freeze and the confirmed thaw, a real snapshot of
both disks included, as the host sees it. The guest is the tiny one with Python and two disks, idle.
"""

import math
import statistics
import time
from collections.abc import Callable
from uuid import UUID, uuid4

from overwinter.guest.agent import GuestAgent
from overwinter.guest.extension import GuestExtension
from overwinter.hypervisor import inventory
from overwinter.hypervisor.connection import Hypervisor
from overwinter.hypervisor.overlay_capture import OverlayCapture
from overwinter.jobs import freeze_by_agent, window
from overwinter.jobs.freezing import WindowResult
from testkit.disks import MIB, DiskSpec
from testkit.ground import Ground

#: Windows per guest and way; each makes the chains of its disks longer by one overlay.
_PER_GUEST = 8

WAYS = ("extension", "agent")


class Figures:
    """What was measured: windows in ms by the way of freezing and what they consist of, installations in s.

    ``held``: what the guest itself says, from before the first file system froze until all were thawed.
    """

    def __init__(self) -> None:
        self.windows: dict[str, list[int]] = {way: [] for way in WAYS}
        self.snapshots: dict[str, list[int]] = {way: [] for way in WAYS}
        self.held: list[int] = []
        self.installs: list[float] = []

    def document(self) -> dict[str, object]:
        """Median and the rest of each."""
        return {
            **{f"window_{way}": _spread(times) for way, times in self.windows.items()},
            **{f"of_it_snapshot_{way}": _spread(times) for way, times in self.snapshots.items()},
            "guest_held_extension": _spread(self.held),
            "install_s": _spread(self.installs),
        }


def measure(ground: Ground, windows: int, say: Callable[[str], None]) -> Figures:
    """So many windows of each way, one after the other, in as many guests as needed."""
    figures = Figures()
    hypervisor = Hypervisor()
    while len(figures.windows["extension"]) < windows:
        guest = ground.guests.with_python().make(
            f"bench-{uuid4().hex[:6]}", [DiskSpec("qcow2"), DiskSpec("raw")]
        )
        uuid = UUID(guest.domain.UUIDString())
        begun = time.monotonic()
        GuestExtension(GuestAgent(hypervisor, uuid)).install()
        figures.installs.append(time.monotonic() - begun)
        for _ in range(min(_PER_GUEST, windows - len(figures.windows["extension"]))):
            for way in WAYS:
                _measure_one(hypervisor, uuid, way, figures)
                say(f"{way}: {figures.windows[way][-1]} ms")
        ground.guests.remove(guest)
    hypervisor.close()
    return figures


def _measure_one(hypervisor: Hypervisor, uuid: UUID, way: str, figures: Figures) -> None:
    method = OverlayCapture(hypervisor)
    plan = method.plan(inventory.machine(hypervisor, uuid), uuid4(), None)
    method.prepare(plan, MIB)

    def snapshot() -> None:
        begun = time.monotonic()
        method.take(plan)
        figures.snapshots[way].append(round((time.monotonic() - begun) * 1000))

    run: Callable[..., WindowResult] = window.run if way == "extension" else freeze_by_agent.run
    result = run(hypervisor, uuid, snapshot)
    if result.freeze_ms is None or result.freeze is None or result.freeze.method != way:
        raise RuntimeError(f"not frozen by the {way}: {result}")
    figures.windows[way].append(result.freeze_ms)
    if result.freeze.guest_ms is not None:
        figures.held.append(result.freeze.guest_ms)


def _spread(values: list[int] | list[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {
        "count": len(ordered),
        "median": round(statistics.median(ordered), 1),
        "p99": round(ordered[math.ceil(len(ordered) * 0.99) - 1], 1),
        "longest": round(ordered[-1], 1),
    }
