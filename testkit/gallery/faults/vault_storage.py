"""Faults of a vault's storage and keys: full, gone, read-only, locked with another key."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from testkit.file_systems import filled, mount, remount, unmount
from testkit.gallery.fault import Fault
from testkit.gallery.patient import Patient
from testkit.gallery.scene import Scene

_AWAY = "VaultUnavailable"
_KEY = "VaultKeyWrong"


@contextmanager
def _full(scene: Scene) -> Iterator[Patient]:
    place = scene.small_directory(192)
    patient = scene.protect(scene.make_guest(), vault=(place / "vault").as_uri())
    patient.backup_is_right()
    patient.write()
    with filled(place, leave=0):
        yield patient


@contextmanager
def _gone(scene: Scene) -> Iterator[Patient]:
    """As a network file system that is not mounted after a restart of the service."""
    patient = scene.in_own_vault()
    away = patient.vault.rename(patient.vault.with_name(f"{patient.vault.name}-away"))
    patient.reopen_vault()
    yield patient
    away.rename(patient.vault)
    patient.reopen_vault()


@contextmanager
def _gone_under_way(scene: Scene) -> Iterator[Patient]:
    """The same while the service has the vault open."""
    patient = scene.in_own_vault()
    away = patient.vault.rename(patient.vault.with_name(f"{patient.vault.name}-away"))
    yield patient
    shutil.rmtree(patient.vault, ignore_errors=True)  # it may have begun to write there
    away.rename(patient.vault)


@contextmanager
def _read_only(scene: Scene) -> Iterator[Patient]:
    place = scene.small_directory(256)
    patient = scene.protect(scene.make_guest(), vault=(place / "vault").as_uri())
    patient.backup_is_right()
    patient.write()
    remount(place, "ro")
    yield patient
    remount(place, "rw")


@contextmanager
def _empty_mount(scene: Scene) -> Iterator[Patient]:
    """Another, empty file system is mounted where the vault was."""
    patient = scene.in_own_vault()
    mount(patient.vault, "size=64m")
    patient.reopen_vault()
    yield patient
    _unmount(patient)


def _unmount(patient: Patient) -> None:
    unmount(patient.vault)
    patient.reopen_vault()


def _key_of(patient: Patient) -> Path:
    return Path(patient.station.vault.key_reference)


@contextmanager
def _key_lost(scene: Scene) -> Iterator[Patient]:
    patient = scene.in_own_vault()
    key = _key_of(patient)
    kept = key.rename(key.with_suffix(".kept"))
    patient.reopen_vault()
    yield patient
    kept.rename(key)
    patient.reopen_vault()


@contextmanager
def _other_key(scene: Scene) -> Iterator[Patient]:
    patient = scene.in_own_vault()
    key = _key_of(patient)
    content = key.read_bytes()
    key.write_bytes(Path(scene.station.vault.key_reference).read_bytes())
    patient.reopen_vault()
    yield patient
    key.write_bytes(content)
    patient.reopen_vault()


@contextmanager
def _open_key(scene: Scene) -> Iterator[Patient]:
    patient = scene.in_own_vault()
    key = _key_of(patient)
    key.chmod(0o644)
    patient.reopen_vault()
    yield patient
    key.chmod(0o600)
    patient.reopen_vault()


FAULTS = (
    Fault("vault full", "The storage of the vault is full.", "VaultStorageFull", "C-VAULT-FULL", _full),
    Fault("vault not mounted", "The storage of the vault is not there.", _AWAY, "C-VAULT-AWAY", _gone),
    Fault(
        "vault gone under way",
        "The storage of the vault went away while the service used it.",
        _AWAY,
        "C-VAULT-AWAY",
        _gone_under_way,
    ),
    Fault("vault read-only", "The storage of the vault is read-only.", _AWAY, "C-VAULT-AWAY", _read_only),
    Fault(
        "empty disk in the vault's place",
        "Another, empty file system is mounted where the vault was.",
        _AWAY,
        "C-VAULT-AWAY",
        _empty_mount,
    ),
    Fault("key lost", "The key file of the vault is gone.", _KEY, "C-KEY-UNUSABLE", _key_lost),
    Fault("key of another vault", "The key file was mixed up.", _KEY, "C-KEY-OTHER", _other_key),
    Fault("key open to others", "Others may read the key file.", _KEY, "C-KEY-UNUSABLE", _open_key),
)
