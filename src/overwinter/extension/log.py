"""The log file in the guest. Nothing is logged while a file system may be frozen.

Python 3.6, standard library only.
"""

import os
import time
from contextlib import suppress

from overwinter.extension.paths import LOG_FILE

#: Then the file becomes the old one, of which there is one.
MOST_BYTES = 1024 * 1024


def log(line: str) -> None:
    """Append a line with the time (UTC); a log that cannot be written stops nothing."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    text = "{} {}\n".format(stamp, line)
    with suppress(OSError):
        os.makedirs(os.path.dirname(LOG_FILE), exist_ok=True)
        if os.path.exists(LOG_FILE) and os.path.getsize(LOG_FILE) > MOST_BYTES:
            os.replace(LOG_FILE, LOG_FILE + ".1")
        with open(LOG_FILE, "a", errors="backslashreplace") as file:
            file.write(text)
