"""Faults of a vault in an object store: credentials that do not do any more."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from testkit.gallery.fault import Fault
from testkit.gallery.patient import Patient
from testkit.gallery.scene import Scene
from testkit.s3_server import ACCESS_KEY_ID, SECRET_ACCESS_KEY, s3_server


def _credentials(spoil: Callable[[Path], object]) -> Callable[[Scene], AbstractContextManager[Patient]]:
    """Something happens to the file of credentials, and the service opens the vault anew."""

    @contextmanager
    def inject(scene: Scene) -> Iterator[Patient]:
        server = scene.meanwhile(s3_server(scene.directory()))
        file = scene.directory()
        file.touch(mode=0o600)
        right = f"AWS_ACCESS_KEY_ID={ACCESS_KEY_ID}\nAWS_SECRET_ACCESS_KEY={SECRET_ACCESS_KEY}\n"
        file.write_text(right)
        url = f"s3://{server.new_bucket()}/vault?endpoint={server.endpoint}&credentials={file}"
        patient = scene.in_own_vault(url)
        spoil(file)
        patient.reopen_vault()
        yield patient
        file.touch(mode=0o600)
        file.write_text(right)
        patient.reopen_vault()

    return inject


def _replace(file: Path) -> None:
    file.write_text(f"AWS_ACCESS_KEY_ID={ACCESS_KEY_ID}\nAWS_SECRET_ACCESS_KEY=that-of-last-year\n")


FAULTS = (
    Fault(
        "credentials replaced",
        "The object store does not take the credentials any more.",
        "VaultUnavailable",
        "C-VAULT-AWAY",
        _credentials(_replace),
    ),
    Fault(
        "credentials lost",
        "The file with the credentials of the object store is gone.",
        "VaultUnavailable",
        "C-VAULT-AWAY",
        _credentials(Path.unlink),
    ),
)
