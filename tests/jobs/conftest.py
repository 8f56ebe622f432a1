from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from testkit.ground import Ground
from testkit.station import Station, open_station
from tests.jobs.desk import Desk, open_desk


@pytest.fixture(scope="module")
def station(ground: Ground) -> Iterator[Station]:
    with open_station(ground) as opened:
        yield opened


@pytest.fixture(scope="module")
def _open_desk(ground: Ground) -> Iterator[Desk]:
    assert ground, "libvirt answers"
    # In memory: what is durable is not the question of these tests, and they sync often.
    with (
        TemporaryDirectory(prefix="overwinter-desk-", dir="/dev/shm") as directory,
        open_desk(Path(directory)) as opened,
    ):
        yield opened


@pytest.fixture
def desk(_open_desk: Desk) -> Iterator[Desk]:
    """An empty one."""
    yield _open_desk
    _open_desk.clear()
