"""Holds a transfer to the bytes a second that the policy allows."""

import threading
import time
from collections.abc import Callable

#: While it waits, a transfer looks this often whether it was cancelled, in seconds.
PIECE_S = 0.5


class Throttle:
    """Lets at most ``limit`` bytes a second through, over all threads together.

    ``check`` is called while a thread waits, and may raise to end it.
    """

    def __init__(
        self,
        limit: int,
        check: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._limit = limit
        self._check = check
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._free_at = float("-inf")

    def wait(self, count: int) -> None:
        """Wait until ``count`` bytes may be read. Bytes that nobody asked for in time are not saved up."""
        with self._lock:
            turn = max(self._clock(), self._free_at)
            self._free_at = turn + count / self._limit
        while (left := turn - self._clock()) > 0:
            self._check()
            self._sleep(min(left, PIECE_S))
