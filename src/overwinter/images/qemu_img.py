"""Run ``qemu-img``, bounded in time, with its own words in the error."""

import subprocess

from overwinter.images import process
from overwinter.model.errors import ImageError

#: Seconds for a command that reads only metadata.
METADATA_TIMEOUT = 60.0


def qemu_img(*arguments: str, timeout: float = METADATA_TIMEOUT, accept: tuple[int, ...] = (0,)) -> bytes:
    """Run ``qemu-img`` with ``arguments`` and return what it prints.

    Raises ImageError when it exits with a status outside ``accept`` or takes longer than ``timeout`` seconds.
    """
    child = process.start(["qemu-img", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        output, complaint = child.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        child.kill()
        child.communicate()
        raise ImageError(
            f"qemu-img {arguments[0]} did not end within {timeout:.0f} s and was stopped; "
            "see whether the storage of the image answers"
        ) from None
    if child.returncode not in accept:
        words = complaint.decode(errors="replace").strip() or f"exit status {child.returncode}"
        raise ImageError(f"qemu-img {arguments[0]}: {words}")
    return output
