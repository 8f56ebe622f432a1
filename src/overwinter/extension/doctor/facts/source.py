"""Something to read, in a thread of its own, so that what hangs holds up nobody.

Python 3.6, standard library only.
"""

import threading
import time
from typing import Callable, Generic, TypeVar

from overwinter.extension.doctor.text import Fact, NotKnown, Unknown, say

_T = TypeVar("_T")


class Source(threading.Thread, Generic[_T]):
    """One source, read in a thread of its own that nobody has to wait for."""

    def __init__(self, read: Callable[[], _T]) -> None:
        super().__init__(daemon=True)
        self._read = read
        self._fact: Fact[_T] = Unknown(say("unknown-defect"))
        self.start()

    def run(self) -> None:
        """Read it. An error that is not foreseen is shown by the thread as what it is, a defect."""
        try:
            self._fact = self._read()
        except NotKnown as error:
            self._fact = Unknown(error.reason)
        except PermissionError as error:
            self._fact = Unknown(say("unknown-permission", path=error.filename or error))
        except (OSError, ValueError) as error:
            self._fact = Unknown(say("unknown-error", error=error))

    def fact(self, deadline: float) -> "Fact[_T]":
        """What was read by the deadline."""
        self.join(max(0.0, deadline - time.monotonic()))
        return Unknown(say("unknown-slow")) if self.is_alive() else self._fact
