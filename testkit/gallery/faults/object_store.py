"""Faults of a vault in an object store: credentials, the way to it, its certificate."""

import signal
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from overwinter.api.certificates import TlsFiles, ensure_certificates
from overwinter.model.errors import OverwinterError
from testkit.gallery.fault import Fault
from testkit.gallery.patient import Patient, Told
from testkit.gallery.scene import Scene
from testkit.s3_server import ACCESS_KEY_ID, SECRET_ACCESS_KEY, S3Server, s3_server
from testkit.servers import LOOPBACK, free_ports

_AWAY = "VaultUnavailable"
_CAUSE = "C-VAULT-AWAY"

_RIGHT = f"AWS_ACCESS_KEY_ID={ACCESS_KEY_ID}\nAWS_SECRET_ACCESS_KEY={SECRET_ACCESS_KEY}\n"


@dataclass(frozen=True)
class Stored:
    """A VM whose vault is in an object store, the server, and the file with its credentials."""

    patient: Patient
    server: S3Server
    credentials: Path


def in_object_store(scene: Scene) -> Stored:
    """A new VM that is off, with one good backup there."""
    server = scene.meanwhile(s3_server(scene.directory()))
    file = _credentials(scene.directory())
    url = f"s3://{server.new_bucket()}/vault?endpoint={server.endpoint}&credentials={file}"
    return Stored(scene.in_own_vault(url), server, file)


def _credentials(file: Path) -> Path:
    file.touch(mode=0o600)
    file.write_text(_RIGHT)
    return file


def _spoilt(spoil: Callable[[Path], object]) -> Callable[[Scene], AbstractContextManager[Patient]]:
    """Something happens to the file of credentials, and the service opens the vault anew."""

    @contextmanager
    def inject(scene: Scene) -> Iterator[Patient]:
        stored = in_object_store(scene)
        spoil(stored.credentials)
        stored.patient.reopen_vault()
        yield stored.patient
        stored.credentials.touch(mode=0o600)
        stored.credentials.write_text(_RIGHT)
        stored.patient.reopen_vault()

    return inject


def _replace(file: Path) -> None:
    file.write_text(f"AWS_ACCESS_KEY_ID={ACCESS_KEY_ID}\nAWS_SECRET_ACCESS_KEY=that-of-last-year\n")


@contextmanager
def _port_closed(scene: Scene) -> Iterator[Patient]:
    """What a firewall that refuses looks like, and a store that is down."""
    stored = in_object_store(scene)
    stored.server.server.end(signal.SIGKILL)
    stored.patient.reopen_vault()
    yield stored.patient
    stored.server.restart()
    stored.patient.reopen_vault()


@contextmanager
def _stopped(scene: Scene) -> Iterator[Patient]:
    yield scene.stopped()


def _new_vault_at(endpoint: Callable[[], AbstractContextManager[str]]) -> Callable[[Patient], Told]:
    """A vault is to be made at an endpoint that cannot be used."""

    def attempt(patient: Patient) -> Told:
        file = _credentials(patient.station.directory / f"credentials-{uuid4().hex[:6]}")
        with endpoint() as address:
            url = f"s3://bucket/vault?endpoint={address}&credentials={file}"
            try:
                patient.service.vaults.create(f"far-{uuid4().hex[:6]}", "default", url)
            except OverwinterError as error:
                return Told(error.code, error.message, error.cause)
        return Told("", "")

    return attempt


@contextmanager
def _nobody_there() -> Iterator[str]:
    (port,) = free_ports(1)
    yield f"http://{LOOPBACK}:{port}"


@contextmanager
def _unknown_name() -> Iterator[str]:
    yield "https://objects.invalid"


@contextmanager
def _unknown_authority() -> Iterator[str]:
    """A server whose certificate is of an authority that this host does not know."""
    with TemporaryDirectory() as directory, socket.create_server((LOOPBACK, 0)) as listener:
        files = TlsFiles(Path(directory))
        ensure_certificates(files, frozenset({LOOPBACK}), datetime.now(UTC))
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(files.certificate, files.key)
        threading.Thread(target=_greet, args=(listener, context), daemon=True).start()
        yield f"https://{LOOPBACK}:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


def _greet(listener: socket.socket, context: ssl.SSLContext) -> None:
    """Shake hands with everybody, as far as that goes."""
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        with client, suppress(OSError):
            context.wrap_socket(client, server_side=True).close()


FAULTS = (
    Fault(
        "credentials replaced",
        "The object store does not take the credentials any more.",
        _AWAY,
        _CAUSE,
        _spoilt(_replace),
    ),
    Fault(
        "credentials lost",
        "The file with the credentials of the object store is gone.",
        _AWAY,
        _CAUSE,
        _spoilt(Path.unlink),
    ),
    Fault(
        "port of the object store closed",
        "A firewall refuses the way to the object store, or nothing listens there any more.",
        _AWAY,
        _CAUSE,
        _port_closed,
    ),
    Fault(
        "new vault behind a closed port",
        "A vault is to be made where nothing listens.",
        _AWAY,
        _CAUSE,
        _stopped,
        _new_vault_at(_nobody_there),
    ),
    Fault(
        "new vault at an unknown name",
        "A vault is to be made at a name that does not resolve.",
        _AWAY,
        _CAUSE,
        _stopped,
        _new_vault_at(_unknown_name),
    ),
    Fault(
        "new vault behind an unknown certificate",
        "The object store's certificate is of an authority that the host does not know.",
        _AWAY,
        _CAUSE,
        _stopped,
        _new_vault_at(_unknown_authority),
    ),
)
