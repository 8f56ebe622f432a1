"""Waiting for a condition with a limit; the only place of the kit that sleeps."""

import time
from collections.abc import Callable


def wait_until(condition: Callable[[], bool], complaint: str, limit: float = 30.0) -> None:
    """Return once ``condition`` holds; after ``limit`` seconds raise ``TimeoutError`` with ``complaint``."""
    deadline = time.monotonic() + limit
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{complaint} (waited {limit:.0f} s)")
        time.sleep(0.02)
