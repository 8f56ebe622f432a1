"""Holding a service of this process at a named place while a test does something to it."""

from pathlib import Path
from uuid import uuid4

import pytest

from overwinter.jobs import faults
from testkit.waiting import wait_until

ARRIVAL_LIMIT_S = 120.0


class Hold:
    """Whoever reaches ``place`` first waits there until ``release``."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, directory: Path, place: str) -> None:
        self._marker = directory / f"hold-{uuid4().hex[:8]}"
        self._place = place
        monkeypatch.setenv(faults.HOLD, f"{place}:{self._marker}")

    def wait(self) -> None:
        """Wait until somebody is held."""
        wait_until(self._marker.exists, f"nobody reached {self._place}", ARRIVAL_LIMIT_S)

    def release(self) -> None:
        """Let him go on."""
        self._marker.write_text("go on")
