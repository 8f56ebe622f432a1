"""Many tasks of which exactly one runs at a time, up to its next pause: concurrency that can be repeated.

A task is a thread, because the work of the store pauses deep within its calls. Whoever steps a task waits
until it pauses again or ends, so nothing ever runs beside it.
"""

import threading
from collections.abc import Callable


class Killed(BaseException):
    """The task's process is gone: nothing that the work may handle."""


class Task:
    """``work`` in steps. Not begun before its first step.

    ``troubled`` is for those who let its calls fail.
    """

    def __init__(self, work: Callable[[], None]) -> None:
        self.error: BaseException | None = None
        self.troubled = False
        self.ended = False
        self._work = work
        self._killed = False
        self._turn = threading.Semaphore(0)
        self._back = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def step(self) -> None:
        """Go on to the next pause, or to the end."""
        self._turn.release()
        self._back.acquire()
        if self.ended:
            self._thread.join()

    def kill(self) -> None:
        """End the task where it is; none of its calls does anything any more."""
        self._killed = True
        while not self.ended:
            self.step()

    def pause(self) -> None:
        """Wait for the next step. Raises ``Killed``."""
        if not self._killed:
            self._back.release()
            self._turn.acquire()
        if self._killed:
            raise Killed

    def _run(self) -> None:
        _current.task = self
        self._turn.acquire()
        try:
            if not self._killed:
                self._work()
        except Killed:
            pass
        except BaseException as error:  # noqa: BLE001 (whoever steps the task looks at it)
            self.error = error
        self.ended = True
        self._back.release()


class _Current(threading.local):
    task: Task | None = None


_current = _Current()


def current() -> Task | None:
    """The task that runs here; null outside of all tasks."""
    return _current.task


def pause() -> None:
    """Let others run, when this is within a task. Raises ``Killed``."""
    if _current.task is not None:
        _current.task.pause()


class Lock:
    """Stands for ``threading.Lock`` between tasks: who waits for it pauses."""

    def __init__(self) -> None:
        self._held = False

    def __enter__(self) -> None:
        while self._held:
            if _current.task is None:
                raise RuntimeError("a lock is held by a task that is not being stepped")
            pause()
        self._held = True

    def __exit__(self, *_error: object) -> None:
        self._held = False
