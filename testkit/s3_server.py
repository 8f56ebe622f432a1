"""A throw-away S3 server: SeaweedFS in one process, on loopback, with its own data directory and account.

It keeps objects on disk, checks signatures, and honours conditional puts. Every port is chosen by us, so that
several can run beside each other.
"""

import json
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import httpx
import obstore
from obstore.store import S3Store

from testkit.servers import LOOPBACK, WHEELS, Server, free_ports

#: An account of tests alone; it opens nothing but this server.
ACCESS_KEY_ID = "overwinter-tests"
SECRET_ACCESS_KEY = "no-secret-of-anybody"

#: The program puts a socket for each of its ports there, and leaves them when it is killed.
_SOCKETS = Path("/tmp")

_ROLES = ("master", "volume", "filer", "s3")


@dataclass(frozen=True)
class S3Server:
    """A running server."""

    port: int
    server: Server

    @property
    def endpoint(self) -> str:
        """Its address."""
        return f"http://{LOOPBACK}:{self.port}"

    def new_bucket(self) -> str:
        """Create an empty bucket and return its name."""
        name = f"test-{uuid4().hex[:12]}"
        store = S3Store(
            name,
            endpoint=self.endpoint,
            region="us-east-1",
            access_key_id=ACCESS_KEY_ID,
            secret_access_key=SECRET_ACCESS_KEY,
            client_options={"allow_http": True},
        )
        httpx.put(obstore.sign(store, "PUT", "", timedelta(minutes=5))).raise_for_status()
        return name

    def restart(self) -> None:
        """Kill it and start it again with what it had on disk."""
        self.server.end(signal.SIGKILL)
        self.server.start()


@contextmanager
def s3_server(directory: Path) -> Iterator[S3Server]:
    """Run a server with its data in the new ``directory``."""
    directory.mkdir(mode=0o700)
    accounts = directory / "accounts.json"
    credentials = [{"accessKey": ACCESS_KEY_ID, "secretKey": SECRET_ACCESS_KEY}]
    identity = {"name": "tests", "credentials": credentials, "actions": ["Admin", "Read", "Write", "List"]}
    accounts.write_text(json.dumps({"identities": [identity]}))
    ports = free_ports(2 * len(_ROLES))
    roles = zip(_ROLES, ports[::2], ports[1::2], strict=True)
    addresses = [
        option
        for role, port, grpc in roles
        for option in (f"-{role}.port={port}", f"-{role}.port.grpc={grpc}")
    ]
    command: list[str | Path] = [
        WHEELS / "bin" / "weed",
        "-logtostderr=true",
        "server",
        f"-dir={directory}",
        f"-ip={LOOPBACK}",
        f"-ip.bind={LOOPBACK}",
        "-filer",
        "-s3",
        *addresses,
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        f"-s3.config={accounts}",
        "-s3.autoCreateBucket=false",
        "-master.telemetry=false",
        "-master.electionTimeout=1s",
        "-master.volumeSizeLimitMB=256",
        "-volume.max=1000",
    ]
    s3_port = ports[2 * _ROLES.index("s3")]
    health = f"http://{LOOPBACK}:{s3_port}/healthz"
    # Every bucket has volumes of its own; one each is enough.
    environment = {**os.environ, "WEED_MASTER_VOLUME_GROWTH_COPY_1": "1"}
    server = Server(command, environment, directory / "log", lambda: _answers(health))
    _remove_dead_sockets()
    try:
        server.start()
        yield S3Server(s3_port, server)
    finally:
        server.end(signal.SIGKILL)  # a polite end takes seconds, and nobody will miss the data
        _remove_dead_sockets()


def _remove_dead_sockets() -> None:
    """Those of this server after its end, and of servers whose run was killed."""
    for path in _SOCKETS.glob("seaweedfs-*.sock"):
        with socket.socket(socket.AF_UNIX) as client:
            try:
                client.connect(str(path))
            except ConnectionRefusedError:
                path.unlink(missing_ok=True)
            except FileNotFoundError:
                pass  # another run was quicker


def _answers(address: str) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(address).is_success
    return False
