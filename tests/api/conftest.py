"""A server over TLS for the tests of the API; those of the command line use it too."""

from collections.abc import Iterator

import pytest
import structlog

from tests.api.served import Running, Served, fresh_doctor, fresh_service, serving


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server for the whole run; it logs to a file, since standard output belongs to the commands."""
    place = tmp_path_factory.mktemp("api")
    with (place / "log").open("w") as log:
        structlog.configure(logger_factory=structlog.PrintLoggerFactory(log))
        with serving(place / "state") as server:
            yield server
        structlog.reset_defaults()


@pytest.fixture
def served(running: Running) -> Iterator[Served]:
    """The server over a new fake service: VMs Web01 and db01, vault v1 in the group default."""
    with running.client() as http:
        yield Served(fresh_service(running), fresh_doctor(running), running.state.root, http)
