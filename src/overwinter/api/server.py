"""Serving the API: TLS 1.2 or newer on one address, until told to stop."""

import signal
import socket
import ssl
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import FrameType

import uvicorn

from overwinter.api.app import create_app
from overwinter.api.certificates import TlsFiles, ensure_certificates
from overwinter.api.port import Doctor, Service
from overwinter.api.state import ServiceInfo, StateDirectory
from overwinter.model.errors import RequestError

#: Seconds that running requests get at a stop; jobs do not run in requests.
_GRACE = 5


def make_server(
    service: Service, doctor: Doctor, directory: Path, *, host: str, port: int, now: datetime
) -> tuple[uvicorn.Server, socket.socket]:
    """A server on a bound socket, ready to run: ``server.run(sockets=[socket])``.

    Makes what is missing in the state directory (token, certificates) and writes the address for clients.
    Port 0 takes a free one. Raises RequestError when the address cannot be used.
    """
    state = StateDirectory(directory)
    directory.mkdir(mode=0o755, parents=True, exist_ok=True)
    listening = _bind(host, port)
    ensure_certificates(state.tls, _own_names(host), now)
    token = state.ensure_token()
    # Clients on this host cannot connect to "any address".
    reachable = "localhost" if host in ("0.0.0.0", "::") else host
    shown = f"[{reachable}]" if ":" in reachable else reachable
    state.write_info(
        ServiceInfo(
            endpoint=f"https://{shown}:{listening.getsockname()[1]}",
            subscription_id=service.subscription_id,
            ca_file=state.tls.ca_certificate.absolute(),
        )
    )
    config = uvicorn.Config(
        create_app(service, doctor, token),
        ssl_context_factory=lambda _config, _default: _tls_context(state.tls),
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=_GRACE,
    )
    return uvicorn.Server(config), listening


def serve(
    service: Service,
    doctor: Doctor,
    directory: Path,
    *,
    host: str,
    port: int,
    now: datetime,
    ready: Callable[[str], None],
) -> None:
    """Serve until SIGINT or SIGTERM; ``ready`` is told the address once it is bound."""
    server, listening = make_server(service, doctor, directory, host=host, port=port, now=now)

    def stop(_number: int, _frame: FrameType | None) -> None:
        server.should_exit = True

    for each in (signal.SIGINT, signal.SIGTERM):
        # uvicorn has its own while it runs. One that comes before is not lost; and at its end uvicorn raises
        # the one that stopped it once more: the caller shall go on from here.
        signal.signal(each, stop)
    with listening:
        ready(StateDirectory(directory).info().endpoint)
        server.run(sockets=[listening])


def _bind(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, port))
            # From here on clients wait instead of being refused, so that the address can be told at once.
            listening.listen()
        except OSError:
            listening.close()
            raise
    except (OSError, OverflowError) as error:
        raise RequestError(f"Cannot listen on {host}:{port}: {error}. Choose another --listen.") from None
    return listening


def _own_names(host: str) -> frozenset[str]:
    names = {"localhost", "127.0.0.1", "::1", socket.gethostname().lower()}
    return frozenset(names | ({host} if host not in ("0.0.0.0", "::") else set()))


def _tls_context(files: TlsFiles) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(files.certificate, files.key)
    return context
