from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.fake_service import FakeService
from tests.api.served import Served, serve


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """The API over two VMs (Web01, db01) and the vault v1 in the group default."""
    service = FakeService("Web01", "db01")
    service.create_vault("v1", "default")
    with serve(service, tmp_path / "state") as running:
        yield running
