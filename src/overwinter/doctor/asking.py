"""Asking somebody who may never answer: in a thread of its own, waited for so long and no longer."""

import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import Generic, TypeVar

from overwinter.doctor.fact import Fact, Known, NotKnown, Source, Unknown
from overwinter.model.errors import InternalError, OverwinterError

T = TypeVar("T")


class Asking(Generic[T]):
    """A question under way; ``timeout_s`` counts from here.

    A thread that gets no answer is left behind and ends with its call. What is an error of the model makes
    an unknown fact; any other is a defect: its traceback goes where those of threads go, and the answer is
    InternalError.
    """

    def __init__(self, source: Source, question: Callable[[], T], *, timeout_s: float, now: datetime) -> None:
        self._source = source
        self._question = question
        self._timeout_s = timeout_s
        self._now = now
        self._deadline = time.monotonic() + timeout_s
        self._answered = threading.Event()
        self._fact: Fact[T] | None = None
        self._thread = threading.Thread(target=self._ask, name=f"doctor-{source}", daemon=True)
        self._thread.start()

    def fact(self) -> Fact[T]:
        """The answer, as soon as it is there, or that there is none. Raises InternalError."""
        if not self._answered.wait(max(0.0, self._deadline - time.monotonic())):
            return Unknown(f"No answer within {self._timeout_s:.0f} s.", self._source, self._now)
        if self._fact is None:
            self._thread.join()  # its traceback is written first
            raise InternalError(f"Asking the {self._source} failed by a defect of the service; see its log.")
        return self._fact

    def _ask(self) -> None:
        try:
            self._fact = Known(self._question(), self._source, self._now)
        except OverwinterError as error:
            self._fact = Unknown(error.message, self._source, self._now)
        except NotKnown as missing:
            self._fact = Unknown(missing.reason, self._source, self._now)
        finally:
            self._answered.set()
