"""The command line is tested against the same server as the API."""

from tests.api.conftest import running, served

__all__ = ["running", "served"]
