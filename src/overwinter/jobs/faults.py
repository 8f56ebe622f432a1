"""Named places at which tests let the service die, to prove that it comes back right.

``OVERWINTER_KILL_AT=<place>:<marker file>`` makes the process SIGKILL itself the first time it reaches the
place; the marker file keeps the restarted service from dying there again. Without the variable nothing
happens.
"""

import os
import signal
from pathlib import Path

VARIABLE = "OVERWINTER_KILL_AT"


def place(name: str) -> None:
    """The program has reached the place ``name``."""
    wanted, _, marker = os.environ.get(VARIABLE, "").partition(":")
    if wanted != name or not marker:
        return
    try:
        Path(marker).touch(exist_ok=False)
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)
