"""Reading the service's answers, and building addresses from names that people typed."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar
from urllib.parse import urlsplit

import httpx

from overwinter.cli.connection import Connection
from overwinter.cli.views import JobView
from overwinter.model.errors import NotFound, ServiceUnreachable

View = TypeVar("View")
Parts = ParamSpec("Parts")


def started(connection: Connection, vault: str, answer: httpx.Response) -> JobView:
    """The job that an accepted request started: its operation names it. ``vault`` is the vault's address."""
    link = answer.headers.get("Azure-AsyncOperation", "")
    operation_id = urlsplit(link).path.rsplit("/", 1)[-1]
    operation = connection.get(f"{vault}/backupOperations/{operation_id}")
    job_id = read_view(lambda: str(operation["properties"]["jobId"]))
    return read_view(JobView.read, connection.get(f"{vault}/backupJobs/{job_id}"))


def vault_address(address: str) -> str:
    """Address of the vault that something belongs to."""
    return "/".join(address.split("/")[:9])


def refuse_slash(what: str, name: str) -> None:
    """A name becomes one segment of an address; NotFound for one that cannot be a segment."""
    if not name or "/" in name or name in (".", ".."):
        raise NotFound(f"There is no {what} {name!r}.")


def read_view(view: Callable[Parts, View], *parts: Parts.args, **named: Parts.kwargs) -> View:
    """Make a view; raises ServiceUnreachable when an answer is not what this client knows."""
    try:
        return view(*parts, **named)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise ServiceUnreachable(
            f"The service's answer cannot be read ({error!r}): it is of another version than this command."
        ) from None
