"""The two layers around every route: an envelope that nothing unexpected leaves, and the token check."""

import hmac
import time
import traceback
from collections.abc import Callable
from uuid import UUID

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from overwinter.api.shapes_errors import Audience, error
from overwinter.codebook import languages
from overwinter.model.errors import InternalError, NotAuthenticated
from overwinter.model.job import JobError

log = structlog.get_logger("overwinter.api")


class Envelope:
    """ASGI middleware: gives every answer its ids, logs it, and turns a defect into a coded error.

    Callers never see a traceback; the log has it, under the request id of the answer.
    """

    def __init__(self, app: ASGIApp, new_id: Callable[[], UUID]) -> None:
        self._app = app
        self._new_id = new_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = str(self._new_id())
        asked = Headers(scope=scope)
        begun = time.monotonic()
        status: int | None = None

        async def send_with_ids(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["x-ms-request-id"] = request_id
                headers["x-ms-correlation-request-id"] = request_id
                headers["Cache-Control"] = "no-store"
                headers["X-Content-Type-Options"] = "nosniff"
            await send(message)

        request_log = log.bind(
            request_id=request_id, method=scope["method"], path=scope["path"], client=_client(scope)
        )
        try:
            await self._app(scope, receive, send_with_ids)
        except Exception:
            # As text: some log renderers print the variables of every frame, the token among them.
            request_log.error("request failed by a defect", traceback=traceback.format_exc())
            if status is not None:
                raise
            problem = InternalError(f"The service failed at this request; its id is {request_id}.")
            answer = JSONResponse(
                error(JobError.of(problem), _audience(asked)), status_code=problem.http_status
            )
            await answer(scope, receive, send_with_ids)
        # Reads are what clients poll with; only what changes or fails is worth a line.
        is_quiet = scope["method"] == "GET" and status is not None and status < 400
        (request_log.debug if is_quiet else request_log.info)(
            "request",
            status=status,
            milliseconds=round((time.monotonic() - begun) * 1000),
            client_request_id=asked.get("x-ms-client-request-id"),
            command=asked.get("commandname"),
        )


class BearerToken:
    """ASGI middleware: lets only requests with the token through."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._expected = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check one request."""
        if scope["type"] == "http" and not self._is_valid(asked := Headers(scope=scope)):
            problem = NotAuthenticated("The bearer token is missing or wrong.")
            answer = JSONResponse(
                error(JobError.of(problem), _audience(asked)),
                status_code=problem.http_status,
                headers={"WWW-Authenticate": "Bearer"},
            )
            await answer(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _is_valid(self, headers: Headers) -> bool:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        matches = hmac.compare_digest(given.strip().encode(), self._expected)
        return matches and scheme.casefold() == "bearer"


def _audience(asked: Headers) -> Audience:
    return Audience(languages.of_header(asked.get("accept-language", "")))


def _client(scope: Scope) -> str | None:
    address = scope.get("client")
    return address[0] if address else None
