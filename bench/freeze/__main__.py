"""Measure what backups cost a guest. One JSON document on stdout and in a file, progress on stderr."""

import argparse
import json
import os
import sys
from contextlib import redirect_stdout
from pathlib import Path

from bench.freeze import stalls, windows
from testkit.ground import Ground, prepare

#: What the figures should be, in the same units.
GOALS = {"window_median_ms": 300, "window_p99_ms": 2000, "install_s": 10}


def measured(ground: Ground, wanted_windows: int, rounds: int) -> dict[str, object]:
    """The whole document."""
    load = os.getloadavg()[0]
    document = windows.measure(ground, wanted_windows, _say).document() if wanted_windows else {}
    if rounds:
        found = stalls.measure(ground, rounds, _say)
        document["stalls"] = {name: each.document() for name, each in found.items()}
    conditions = {
        "accelerator": ground.accelerator,
        "host_cpus": os.cpu_count(),
        "load_before": round(load, 1),
        "load_after": round(os.getloadavg()[0], 1),
        "window": "tiny guest with Python, 1 vCPU, qcow2 and raw disk with ext4, idle; order to freeze until "
        "the thaw is confirmed, by the host's clock, with the snapshot; both ways in turn on the same guest",
        "stalls": f"the same guest with one qcow2 disk that holds {stalls.DATA_BYTES >> 20} MiB of files; "
        "4 KiB written with O_DSYNC every 10 ms during whole backups; "
        f"{stalls.NEW_BYTES >> 20} MiB are new in an incremental one; "
        "tools in turn on one guest, a new guest each round",
    }
    return {"conditions": conditions, "goals": GOALS, **document}


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.freeze", description=__doc__)
    parser.add_argument("--windows", type=int, default=96, help="how many of each way")
    parser.add_argument("--rounds", type=int, default=4, help="how many guests are backed up by both tools")
    parser.add_argument("--report", type=Path, default=Path("bench-freeze-report.json"), help="file for JSON")
    wanted = parser.parse_args()
    # The service logs to stdout.
    with redirect_stdout(sys.stderr), prepare() as ground:
        document = measured(ground, wanted.windows, wanted.rounds)
    text = json.dumps(document, indent=1)
    wanted.report.write_text(text + "\n")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
