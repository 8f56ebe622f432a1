"""Writes 4 KiB with O_DSYNC every 10 ms, and tells at its end how long each write took. Runs in the guest.

    writer.py FILE ANSWER

The answer, on SIGTERM: milliseconds as a JSON list. A write that is late is followed by the next at once.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

PERIOD_S = 0.01
BLOCK = 4096

#: So many blocks are written over and over: the file system has little to do but the write itself.
BLOCKS = 32


def main(file: str, answer: str) -> None:
    """Write until told to end."""
    told: list[bool] = []
    signal.signal(signal.SIGTERM, lambda *_: told.append(True))
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_DSYNC, 0o600)
    for number in range(BLOCKS):
        os.pwrite(descriptor, os.urandom(BLOCK), number * BLOCK)
    Path(answer + ".begun").touch()
    took: list[float] = []
    while not told:
        begun = time.monotonic()
        os.pwrite(descriptor, os.urandom(BLOCK), len(took) % BLOCKS * BLOCK)
        needed = time.monotonic() - begun
        took.append(round(needed * 1000, 1))
        time.sleep(max(0.0, PERIOD_S - needed))
    new = Path(answer + ".new")
    new.write_text(json.dumps(took))
    new.rename(answer)


main(*sys.argv[1:])
