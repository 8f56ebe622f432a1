"""Worker threads: a function over many items, results in order, a bounded number of items under way.

Threads and not processes: hashing, compression, encryption and file I/O all release the interpreter lock.
"""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

#: More threads than this gain nothing and each has its own buffers.
_MOST_WORKERS = 16

#: Items given out beyond those being worked on, per thread, so that no thread waits for the slowest.
_AHEAD = 3


def worker_count() -> int:
    """How many threads to use: one per processor this process may run on."""
    return min(_MOST_WORKERS, len(os.sched_getaffinity(0)))


def ordered_map(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int
) -> Generator[Result, None, None]:
    """``function`` of every item, in order. ``items`` is iterated in the calling thread.

    The first exception, or closing the generator, ends the work: what has not begun never begins, what runs
    is waited for.
    """
    pending: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="vault") as pool:
        try:
            for item in items:
                pending.append(pool.submit(function, item))
                if len(pending) >= workers * _AHEAD:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
