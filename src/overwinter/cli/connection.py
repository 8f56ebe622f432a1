"""Talking to the service: requests over TLS with the token, and answers or failures that make sense."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import httpx

from overwinter.api.state import StateDirectory
from overwinter.cli.failure import Failure
from overwinter.model.errors import RequestError, ServiceUnreachable

API_VERSION = "2026-10-01"

#: Seconds for one request; the service answers at once, or after asking a guest.
_TIMEOUT = httpx.Timeout(60, connect=5)

#: Seconds for what the service has to work out first.
_LONG_TIMEOUT = httpx.Timeout(3600, connect=5)

Arm = dict[str, Any]


class Connection:
    """Requests to one service.

    Raises Failure for what the service refuses, ServiceUnreachable when it cannot be talked to, RequestError
    when a name is not text.
    """

    def __init__(self, http: httpx.Client, subscription: str) -> None:
        self._http = http
        self.subscription = subscription

    def get(self, path: str, **query: str) -> Arm:
        """The resource at a path."""
        return _document(self._send("GET", path, query=query))

    def get_slowly(self, path: str) -> Arm:
        """The resource at a path, which the service may need long for."""
        return _document(self._send("GET", path, timeout=_LONG_TIMEOUT))

    def rows(self, path: str) -> Iterator[Arm]:
        """All rows of a list, page after page."""
        page = _document(self._send("GET", path))
        yield from page["value"]
        while link := page.get("nextLink"):
            page = _document(self._send("GET", httpx.URL(link)))
            yield from page["value"]

    def put(self, path: str, body: Arm) -> httpx.Response:
        """Make or change the resource at a path."""
        return self._send("PUT", path, body)

    def post(self, path: str, body: Arm) -> httpx.Response:
        """Start something."""
        return self._send("POST", path, body)

    def post_slowly(self, path: str, body: Arm) -> Arm:
        """The answer to an action that the service may need long for."""
        return _document(self._send("POST", path, body, timeout=_LONG_TIMEOUT))

    def post_for_content(self, path: str, body: Arm) -> bytes:
        """The same of an action whose answer is no document."""
        return self._send("POST", path, body, timeout=_LONG_TIMEOUT).content

    def patch(self, path: str, body: Arm) -> httpx.Response:
        """Change parts of the resource at a path."""
        return self._send("PATCH", path, body)

    def delete(self, path: str, **query: str) -> httpx.Response:
        """Remove the resource at a path."""
        return self._send("DELETE", path, query=query)

    def _send(
        self,
        method: str,
        path: str | httpx.URL,
        body: Arm | None = None,
        query: dict[str, str] | None = None,
        timeout: httpx.Timeout = _TIMEOUT,
    ) -> httpx.Response:
        try:
            if isinstance(path, str):
                path = httpx.URL(quote(path, safe="/;")).copy_merge_params(
                    {"api-version": API_VERSION, **(query or {})}
                )
            answer = self._http.request(method, path, json=body, timeout=timeout)
        except UnicodeEncodeError:
            raise RequestError("A name or path on the command line is not valid text.") from None
        except httpx.ConnectError as error:
            raise ServiceUnreachable(_why_no_connection(self._http, error)) from None
        except httpx.TransportError as error:
            raise ServiceUnreachable(
                f"The connection to {self._http.base_url} broke: {error or type(error).__name__}."
            ) from None
        if answer.is_error:
            raise _refusal(answer)
        return answer


@contextmanager
def connect(state: StateDirectory, language: str) -> Iterator[Connection]:
    """A connection to the service of a state directory, which answers in that language.

    Raises ServiceUnreachable when none was ever started there, NotPermitted when its token is not readable.
    """
    info = state.info()
    token = state.token()
    try:
        trust = ssl.create_default_context(cafile=str(info.ca_file))
    except OSError as error:  # an SSLError is one too
        raise ServiceUnreachable(
            f"The service's certificate {info.ca_file} cannot be read: {error}."
        ) from None
    headers = {
        "Authorization": f"Bearer {token}",
        "User-Agent": "overwinter",
        "Accept-Language": language,
    }
    # Proxies of the environment are not meant for a service on this host.
    with httpx.Client(base_url=info.endpoint, verify=trust, headers=headers, trust_env=False) as http:
        yield Connection(http, f"/subscriptions/{info.subscription_id}")


def _why_no_connection(http: httpx.Client, error: httpx.ConnectError) -> str:
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return f"What answers at {http.base_url} is not the service of this state directory."
    return f"Nothing answers at {http.base_url}."


def _document(answer: httpx.Response) -> Arm:
    try:
        document = answer.json()
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise ServiceUnreachable(f"What answers at {answer.url.host}:{answer.url.port} is not Overwinter.")
    return document


def _refusal(answer: httpx.Response) -> Failure:
    try:
        error = answer.json()["error"]
        info = error["additionalInfo"][0]["info"]
        return Failure(error["code"], info["message"], tuple(info["recommendations"]))
    except (ValueError, KeyError, IndexError, TypeError):
        return Failure.of(ServiceUnreachable(f"The service answered {answer.status_code} without a reason."))
