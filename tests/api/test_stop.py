"""The service stops when it is told to, at whatever moment after it has told its address."""

import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from overwinter.api.server import serve
from tests.api.fake_doctor import FakeDoctor
from tests.api.fake_service import FakeService

STOPS = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    before = {stop: signal.getsignal(stop) for stop in STOPS}
    yield
    for stop, handler in before.items():
        signal.signal(stop, handler)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("stop", STOPS)
def test_a_stop_in_the_moment_in_which_it_tells_its_address(tmp_path: Path, stop: signal.Signals) -> None:
    def ready(_endpoint: str) -> None:
        os.kill(os.getpid(), stop)

    now = datetime.now(UTC)
    serve(FakeService(), FakeDoctor(), tmp_path, host="127.0.0.1", port=0, now=now, ready=ready)
