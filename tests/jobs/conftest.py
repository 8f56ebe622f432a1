from collections.abc import Iterator

import pytest

from testkit.ground import Ground
from testkit.station import Station, open_station


@pytest.fixture(scope="module")
def station(ground: Ground) -> Iterator[Station]:
    with open_station(ground) as opened:
        yield opened
