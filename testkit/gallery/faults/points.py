"""Locks, and restore points at their limit."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from pathlib import Path

from overwinter.catalog import points
from overwinter.model.job import JobOperation
from overwinter.model.lock import LockLevel, LockScope
from overwinter.model.policy import MAX_RESTORE_POINTS
from testkit.gallery.fault import Fault
from testkit.gallery.patient import Patient, backup
from testkit.gallery.scene import Scene
from testkit.waiting import wait_until

_LIMIT = "UserErrorRpCollectionLimitReached"
_NAME = "gallery"


def _scope(patient: Patient, *, group: bool) -> LockScope:
    (found,) = [
        each.collection
        for each in patient.service.points.collections()
        if each.collection.vm_uuid == patient.item.vm_uuid
    ]
    return LockScope(found.resource_group, None if group else found.name)


def _fill(patient: Patient) -> None:
    """As many restore points as there may be."""
    while _count(patient) < MAX_RESTORE_POINTS:
        patient.clock.now += timedelta(hours=1)
        job = patient.ended(lambda: patient.service.backup(patient.item, expires=None))
        assert job.status.is_final, job


def _count(patient: Patient) -> int:
    with patient.service._runtime.catalog.transaction() as tx:
        return len(points.restore_points_of(tx, patient.item.vm_uuid))


def _locked(
    level: LockLevel, *, group: bool, full: bool
) -> Callable[[Scene], AbstractContextManager[Patient]]:
    @contextmanager
    def inject(scene: Scene) -> Iterator[Patient]:
        patient = scene.stopped()
        patient.backup_is_right()
        patient.service.points.put_lock(_scope(patient, group=group), _NAME, level, "do not touch")
        try:
            if full:
                _fill(patient)
            yield patient
        finally:
            _unlock(patient)

    return inject


def _unlock(patient: Patient) -> None:
    for lock in patient.service.points.locks():
        patient.service.points.delete_lock(lock.scope, lock.name)


@contextmanager
def _vault_behind(scene: Scene) -> Iterator[Patient]:
    """The vault was away for so long that the VM is full of points that only the host has."""
    patient = scene.protect(scene.make_guest(), vault=scene.directory().as_uri())
    patient.vault.rename(_away(patient))
    patient.reopen_vault()
    _fill(patient)
    yield patient


def _away(patient: Patient) -> Path:
    return patient.vault.with_name(f"{patient.vault.name}-away")


def _bring_back(patient: Patient) -> None:
    _away(patient).rename(patient.vault)
    patient.reopen_vault()


@contextmanager
def _many_a_day(scene: Scene) -> Iterator[Patient]:
    patient = scene.stopped()
    _fill(patient)
    yield patient


def _let_a_week_pass(patient: Patient) -> None:
    """Time goes by, so that points expire; the clean-up that a failed backup orders removes them."""
    _wait_for_clean_ups(patient, 1)  # of the backup that has failed already; nothing had expired for it
    patient.clock.now += timedelta(days=7)
    assert backup(patient).code == _LIMIT
    _wait_for_clean_ups(patient, 2)
    assert _count(patient) < MAX_RESTORE_POINTS


def _wait_for_clean_ups(patient: Patient, count: int) -> None:
    """Until so many clean-ups have ended, which failed backups order; a VM has one job at a time."""

    def ended() -> int:
        known = (job for job in patient.service.jobs() if job.vm_uuid == patient.item.vm_uuid)
        return sum(job.operation is JobOperation.CLEAN_UP_POINTS and job.status.is_final for job in known)

    wait_until(lambda: ended() >= count, "no clean-up", 120)


FAULTS = (
    Fault(
        "lock on the group, 18 points",
        "A lock on the resource group stopped clean-up until 18 restore points were there.",
        _LIMIT,
        "C-RG-LOCK",
        _locked(LockLevel.CAN_NOT_DELETE, group=True, full=True),
        repair="clean-up",
        before_repair=_unlock,
    ),
    Fault(
        "lock on the collection, 18 points",
        "A lock on the restore point collection stopped clean-up until 18 points were there.",
        _LIMIT,
        "C-RG-LOCK",
        _locked(LockLevel.CAN_NOT_DELETE, group=False, full=True),
        repair="clean-up",
        before_repair=_unlock,
    ),
    Fault(
        "ReadOnly lock on the group",
        "A ReadOnly lock stands on the resource group.",
        "ScopeLocked",
        "C-SCOPE-LOCK",
        _locked(LockLevel.READ_ONLY, group=True, full=False),
    ),
    Fault(
        "ReadOnly lock on the collection",
        "A ReadOnly lock stands on the restore point collection.",
        "ScopeLocked",
        "C-SCOPE-LOCK",
        _locked(LockLevel.READ_ONLY, group=False, full=False),
    ),
    Fault(
        "vault behind, 18 points",
        "No backup reached the vault for so long that 18 points are on the host.",
        _LIMIT,
        "C-VAULT-BEHIND",
        _vault_behind,
        repair="backup",
        before_repair=_bring_back,
    ),
    Fault(
        "18 points in a day",
        "Eighteen backups in a day left no room for another restore point.",
        _LIMIT,
        "C-MULTI-DAY",
        _many_a_day,
        repair="backup",
        before_repair=_let_a_week_pass,
        place="2021",
    ),
)
