"""Measure the freeze window with and without the extension, and the extension's installation.

One JSON document on stdout and in a file, progress on stderr. The guest is the tiny one with Python and two
disks; a window is everything a backup does between the order to freeze and the confirmed thaw, a real
snapshot of both disks included, as the host sees it.
"""

import argparse
import json
import math
import os
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

from overwinter.guest.agent import GuestAgent
from overwinter.guest.extension import GuestExtension
from overwinter.hypervisor import inventory
from overwinter.hypervisor.connection import Hypervisor
from overwinter.hypervisor.overlay_capture import OverlayCapture
from overwinter.jobs import freeze_by_agent, window
from overwinter.jobs.freezing import WindowResult
from testkit.disks import MIB, DiskSpec
from testkit.ground import Ground, prepare

#: Windows per guest and way; each makes the chains of its disks longer by one overlay.
_PER_GUEST = 8

#: What the figures should be, in the same units.
GOALS = {"window_median_ms": 300, "window_p99_ms": 2000, "install_s": 10}


class Figures:
    """What was measured: windows in ms by the way of freezing, installations in s."""

    def __init__(self) -> None:
        self.windows: dict[str, list[int]] = {"extension": [], "agent": []}
        self.installs: list[float] = []

    def document(self) -> dict[str, object]:
        """Median and the rest of each."""
        return {
            **{f"window_{way}": _spread(times) for way, times in self.windows.items()},
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
        method = OverlayCapture(hypervisor)
        for _ in range(min(_PER_GUEST, windows - len(figures.windows["extension"]))):
            for way, run in (("extension", window.run), ("agent", freeze_by_agent.run)):
                plan = method.plan(inventory.machine(hypervisor, uuid), uuid4(), None)
                method.prepare(plan, MIB)
                result: WindowResult = run(hypervisor, uuid, partial(method.take, plan))
                if result.freeze_ms is None or result.freeze is None or result.freeze.method != way:
                    raise RuntimeError(f"not frozen by the {way}: {result}")
                figures.windows[way].append(result.freeze_ms)
                say(f"{way}: {result.freeze_ms} ms")
        ground.guests.remove(guest)
    hypervisor.close()
    return figures


def _spread(values: list[int] | list[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {
        "count": len(ordered),
        "median": round(statistics.median(ordered), 1),
        "p99": round(ordered[math.ceil(len(ordered) * 0.99) - 1], 1),
        "longest": round(ordered[-1], 1),
    }


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.freeze", description=__doc__)
    parser.add_argument("--windows", type=int, default=96, help="how many of each way")
    parser.add_argument("--report", type=Path, default=Path("bench-freeze-report.json"), help="file for JSON")
    wanted = parser.parse_args()
    load = os.getloadavg()[0]
    with prepare() as ground:
        figures = measure(ground, wanted.windows, lambda text: print(text, file=sys.stderr, flush=True))
        conditions = {
            "accelerator": ground.accelerator,
            "host_cpus": os.cpu_count(),
            "load_before": round(load, 1),
            "load_after": round(os.getloadavg()[0], 1),
            "guest": "tiny guest with Python, 1 vCPU, qcow2 and raw disk with ext4, idle",
            "window": "order to freeze until the thaw is confirmed, by the host's clock, with the snapshot",
            "order": "both ways in turn on the same guest; a new guest every 8 windows of each",
        }
    text = json.dumps({"conditions": conditions, "goals": GOALS, **figures.document()}, indent=1)
    wanted.report.write_text(text + "\n")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
