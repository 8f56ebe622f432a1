"""Steps that lose the database or libvirt under way run again, as they do after a crash.

Every step is written to be run twice, so nothing more is needed to outlast a restart of either.
"""

import time
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import structlog

from overwinter.model.errors import CatalogUnavailable, HypervisorUnavailable

log = structlog.get_logger(__name__)

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

#: What comes back by itself when its server is started again.
LOST = (CatalogUnavailable, HypervisorUnavailable)

#: Seconds to go on trying; a restart of either takes less. A try that lasted as long begins this anew.
PATIENCE_S = 180.0

#: Seconds between two tries: at first, and at most.
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 8.0


def lasting(step: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """A step that outlasts a restart of the database or of libvirt."""
    return _repeated(step, PATIENCE_S)


def unending(step: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """A step that must be taken, however long it takes: without it a job would never end."""
    return _repeated(step, float("inf"))


def _repeated(step: Callable[Arguments, Result], patience: float) -> Callable[Arguments, Result]:
    @wraps(step)
    def repeated(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        given_up, pause = time.monotonic() + patience, FIRST_PAUSE_S
        while True:
            begun = time.monotonic()
            try:
                return step(*args, **kwargs)
            except LOST as error:
                now = time.monotonic()
                if now - begun > patience:
                    given_up, pause = now + patience, FIRST_PAUSE_S
                if now + pause > given_up:
                    raise
                log.warning("step runs again", step=step.__name__, code=error.code, reason=error.message)
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_S)

    return repeated
