"""Faults of protection: stopped, deleted, in another vault, already at work."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

from testkit.gallery.fault import Fault
from testkit.gallery.held import held
from testkit.gallery.patient import Patient, Told, told
from testkit.gallery.scene import Scene


@contextmanager
def _stopped(scene: Scene) -> Iterator[Patient]:
    patient = scene.stopped()
    patient.backup_is_right()
    patient.completed(lambda: patient.service.unprotect(patient.item, delete_data=False))
    patient.item = patient.service.item(patient.station.vault, patient.guest.name)
    yield patient
    patient.item = patient.station.protect(patient.guest)


@contextmanager
def _deleted(scene: Scene) -> Iterator[Patient]:
    patient = scene.stopped()
    patient.backup_is_right()
    patient.completed(lambda: patient.service.unprotect(patient.item, delete_data=True))
    yield patient
    deleted = patient.service.item(patient.station.vault, patient.guest.name)
    patient.completed(lambda: patient.service.protection.undelete(deleted))
    patient.item = patient.station.protect(patient.guest)


def _protect_again(patient: Patient) -> Told:
    machine = patient.service.machine(patient.guest.name)
    return told(patient, lambda: patient.service.protect(patient.station.vault, machine, "DefaultPolicy"))


@contextmanager
def _elsewhere(scene: Scene) -> Iterator[Patient]:
    yield scene.stopped()


def _protect_in_second_vault(patient: Patient) -> Told:
    second = patient.service.vaults.create(f"second-{uuid4().hex[:6]}", "default")
    machine = patient.service.machine(patient.guest.name)
    return told(patient, lambda: patient.service.protect(second, machine, "DefaultPolicy"))


@contextmanager
def _busy_elsewhere(scene: Scene) -> Iterator[Patient]:
    """A job of the vault that protected it before has not ended."""
    patient = scene.stopped()
    with patient.station.job_in_former_vault(patient.item):
        yield patient


def _twice(patient: Patient) -> Told:
    """A backup asked for while another one runs."""
    with held("snapshot.taken", patient.station.directory) as arrived:
        first = patient.service.backup(patient.item, expires=None)
        arrived()
        said = told(patient, lambda: patient.service.backup(patient.item, expires=None))
    patient.ended(lambda: first)
    return said


FAULTS = (
    Fault(
        "protection stopped",
        "Somebody stopped the protection of the VM.",
        "UserErrorBcmDatasourceNotPresent",
        "C-NOT-PROTECTED",
        _stopped,
    ),
    Fault(
        "backup data deleted",
        "Somebody deleted the backup data, and now wants to protect the VM.",
        "ItemSoftDeleted",
        "C-SOFT-DELETED",
        _deleted,
        _protect_again,
    ),
    Fault(
        "two vaults",
        "The VM is to be protected in a second vault.",
        "ProtectedInAnotherVault",
        "C-OTHER-VAULT",
        _elsewhere,
        _protect_in_second_vault,
    ),
    Fault(
        "job in the former vault",
        "A job of the vault that protected the VM before still runs.",
        "UserErrorBackupOperationInProgress",
        "C-JOB-OTHER-VAULT",
        _busy_elsewhere,
    ),
    Fault(
        "two backups at once",
        "A backup is asked for while another one runs.",
        "UserErrorBackupOperationInProgress",
        "C-JOB-RUNNING",
        _elsewhere,
        _twice,
        repair="backup",
    ),
)
