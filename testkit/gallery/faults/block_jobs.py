"""Block jobs and snapshots of other programs on the disks of a running VM."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import libvirt

from testkit.gallery.fault import Fault
from testkit.gallery.patient import Patient
from testkit.gallery.scene import Scene
from testkit.waiting import wait_until

_STATE = "UserErrorVmNotInDesirableState"
_STALE = "C-BLOCK-JOB-STALE"


@contextmanager
def _copy(scene: Scene) -> Iterator[Patient]:
    patient = scene.running()
    _begin_copy(scene, patient, {})
    _wait_ready(patient)
    yield patient
    _abort(patient)


@contextmanager
def _slow_copy(scene: Scene) -> Iterator[Patient]:
    patient = scene.running()
    _begin_copy(scene, patient, {libvirt.VIR_DOMAIN_BLOCK_COPY_BANDWIDTH: 1})
    yield patient
    _abort(patient)


def _begin_copy(scene: Scene, patient: Patient, parameters: dict[str, int]) -> None:
    target = f'<disk type="file"><driver type="qcow2"/><source file="{scene.directory()}"/></disk>'
    flags = libvirt.VIR_DOMAIN_BLOCK_COPY_TRANSIENT_JOB
    patient.guest.domain.blockCopy("vda", target, parameters, flags)


@contextmanager
def _commit(scene: Scene) -> Iterator[Patient]:
    patient = scene.running()
    patient.backup_is_right()
    below = str(patient.guest.chain("vda")[1])
    patient.guest.domain.blockCommit("vda", below, None, flags=libvirt.VIR_DOMAIN_BLOCK_COMMIT_ACTIVE)
    _wait_ready(patient)
    yield patient
    _abort(patient)
    # QEMU 7.2 keeps the image below open for writing after that, so nobody may read it.
    patient.guest.destroy()
    patient.guest.start()


@contextmanager
def _pull(scene: Scene) -> Iterator[Patient]:
    """Told to copy one byte a second, as by somebody who wanted to slow it down for the day."""
    patient = scene.running()
    patient.backup_is_right()
    patient.write()
    patient.guest.domain.blockPull("vda", 1, libvirt.VIR_DOMAIN_BLOCK_PULL_BANDWIDTH_BYTES)
    yield patient
    _abort(patient)


@contextmanager
def _open_backup(scene: Scene) -> Iterator[Patient]:
    """Another backup program was killed and left libvirt's backup job open."""
    patient = scene.running()
    place = scene.directory()
    place.mkdir()
    place.chmod(0o777)
    patient.guest.domain.backupBegin(
        f"<domainbackup mode='pull'><server transport='unix' socket='{place}/socket'/><disks>"
        "<disk name='vda' backup='yes' type='file'>"
        f"<scratch file='{place}/scratch'/></disk></disks></domainbackup>",
        None,
    )
    yield patient
    with suppress(libvirt.libvirtError):
        patient.guest.domain.abortJob()


def _wait_ready(patient: Patient) -> None:
    domain = patient.guest.domain
    wait_until(lambda: (info := domain.blockJobInfo("vda")) and info["cur"] == info["end"], "not copied", 60)


def _abort(patient: Patient) -> None:
    if patient.guest.domain.blockJobInfo("vda"):
        patient.guest.domain.blockJobAbort("vda")


FAULTS = (
    Fault(
        "block copy left behind",
        "Somebody copied the running disk and never ended the copy.",
        _STATE,
        _STALE,
        _copy,
        repair="block-job-abort",
    ),
    Fault(
        "block copy stands still",
        "Somebody's copy of the running disk moves one byte a second.",
        _STATE,
        _STALE,
        _slow_copy,
        repair="block-job-abort",
    ),
    Fault(
        "block commit left behind",
        "Somebody merged the newest overlay and never ended the merge.",
        _STATE,
        _STALE,
        _commit,
    ),
    Fault(
        "block pull stands still",
        "Somebody's pull of the disk moves one byte a second.",
        _STATE,
        _STALE,
        _pull,
        repair="block-job-abort",
    ),
    Fault(
        "another backup left open",
        "Another backup program died and left its job on the VM.",
        _STATE,
        _STALE,
        _open_backup,
        repair="block-job-abort",
    ),
)
