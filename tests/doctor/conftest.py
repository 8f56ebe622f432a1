"""A service and a VM that has been backed up, for the tests of one module."""

from collections.abc import Iterator

import pytest

from overwinter.model.protection import ProtectedItem
from testkit.domains import TinyGuest
from testkit.ground import Ground
from testkit.station import Station, open_station


@pytest.fixture(scope="module")
def station(ground: Ground) -> Iterator[Station]:
    with open_station(ground) as opened:
        yield opened


@pytest.fixture(scope="module")
def item(station: Station, guest: TinyGuest) -> ProtectedItem:
    """The module's guest is protected, and has been backed up."""
    item = station.protect(guest)
    station.backup(item)
    return item
