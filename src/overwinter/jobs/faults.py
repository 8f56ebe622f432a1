"""Named places at which tests let the service die or wait, to prove that it comes back right.

``OVERWINTER_KILL_AT=<place>:<marker file>`` makes the process SIGKILL itself the first time it reaches the
place; the marker file keeps the restarted service from dying there again. ``OVERWINTER_HOLD_AT``, written
alike, makes it wait there once until somebody writes something into the marker file. Without the variables
nothing happens.
"""

import os
import signal
import time
from pathlib import Path

KILL = "OVERWINTER_KILL_AT"
HOLD = "OVERWINTER_HOLD_AT"


def place(name: str) -> None:
    """The program has reached the place ``name``."""
    if _first_time(KILL, name) is not None:
        os.kill(os.getpid(), signal.SIGKILL)
    marker = _first_time(HOLD, name)
    while marker is not None and not marker.stat().st_size:
        time.sleep(0.05)


def _first_time(variable: str, name: str) -> Path | None:
    """The marker file, just made, when this is the place the variable names."""
    wanted, _, marker = os.environ.get(variable, "").partition(":")
    if wanted != name or not marker:
        return None
    try:
        Path(marker).touch(exist_ok=False)
    except FileExistsError:
        return None
    return Path(marker)
