"""Run ``qemu-img``, bounded in time, with its own words in the error."""

import subprocess
import time
from collections.abc import Callable

from overwinter.images import process
from overwinter.model.errors import ImageError, JobCancelled

#: Seconds for a command that reads only metadata.
METADATA_TIMEOUT = 60.0


#: How often a running command is looked after, in seconds.
_LOOK = 0.2


def never() -> bool:
    """Nobody cancels."""
    return False


def qemu_img(
    *arguments: str,
    timeout: float = METADATA_TIMEOUT,
    accept: tuple[int, ...] = (0,),
    cancelled: Callable[[], bool] = never,
) -> bytes:
    """Run ``qemu-img`` with ``arguments`` and return what it prints.

    Raises ImageError when it exits with a status outside ``accept`` or takes longer than ``timeout`` seconds,
    JobCancelled soon after ``cancelled`` has begun to say so; it is killed in both cases.
    """
    child = process.start(["qemu-img", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + timeout
    while True:
        try:
            output, complaint = child.communicate(timeout=max(0.0, min(_LOOK, deadline - time.monotonic())))
            break
        except subprocess.TimeoutExpired:
            stopped = cancelled()
            if not stopped and time.monotonic() < deadline:
                continue
        child.kill()
        child.communicate()
        if stopped:
            raise JobCancelled(f"qemu-img {arguments[0]} was cancelled")
        raise ImageError(
            f"qemu-img {arguments[0]} did not end within {timeout:.0f} s and was stopped; "
            "see whether the storage of the image answers",
            cause="C-SLOW-STORAGE",
        )
    if child.returncode not in accept:
        words = complaint.decode(errors="replace").strip() or f"exit status {child.returncode}"
        raise ImageError(f"qemu-img {arguments[0]}: {words}")
    return output
