"""A server over TLS for the tests of the API; those of the command line use it too."""

from collections.abc import Iterator

import pytest

from tests.api.served import Running, Served, fresh_service, serving


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server for the whole run."""
    with serving(tmp_path_factory.mktemp("api") / "state") as server:
        yield server


@pytest.fixture
def served(running: Running) -> Iterator[Served]:
    """The server over a new fake service: VMs Web01 and db01, vault v1 in the group default."""
    with fresh_service(running) as one:
        yield one
