"""Faults of the freeze: already frozen, nothing to freeze, refused, too slow."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from testkit.console import console_run
from testkit.gallery.fault import Fault
from testkit.gallery.scene import Patient, Scene

_REFUSED = "UserErrorFsFreezeFailed"

_LIMIT_S = 60


@contextmanager
def _left_frozen(scene: Scene) -> Iterator[Patient]:
    patient = scene.running()
    patient.guest.agent.command("guest-fsfreeze-freeze")
    yield patient
    patient.guest.agent.command("guest-fsfreeze-thaw")


@contextmanager
def _frozen_by_another(scene: Scene) -> Iterator[Patient]:
    patient = scene.running()
    patient.guest.agent.check("fsfreeze --freeze /mnt/vda")
    yield patient
    patient.guest.agent.run("fsfreeze --unfreeze /mnt/vda")


def _in_guest(do: str, undo: str) -> Callable[[Scene], AbstractContextManager[Patient]]:
    @contextmanager
    def inject(scene: Scene) -> Iterator[Patient]:
        patient = scene.running()
        console_run(patient.guest.domain, do, _LIMIT_S)
        yield patient
        console_run(patient.guest.domain, undo, _LIMIT_S)

    return inject


@contextmanager
def _slow_disk(scene: Scene) -> Iterator[Patient]:
    """So slow that writing out what the guest has not written yet takes longer than the agent may take."""
    patient = scene.running()
    domain = patient.guest.domain
    domain.setBlockIoTune("vda", {"write_bytes_sec": 256 * 1024})
    console_run(domain, "dd if=/dev/urandom of=/mnt/vda/slow bs=1M count=3 2>/dev/null", _LIMIT_S)
    yield patient
    domain.setBlockIoTune("vda", {"write_bytes_sec": 0})


FAULTS = (
    Fault(
        "guest left frozen",
        "A program froze the guest through the agent and went away.",
        _REFUSED,
        "C-FS-FROZEN",
        _left_frozen,
        repair="backup",
    ),
    Fault(
        "file system held frozen",
        "A program in the guest holds a file system frozen (fsfreeze).",
        _REFUSED,
        "C-FS-FROZEN",
        _frozen_by_another,
        repair="backup",
    ),
    Fault(
        "nothing to freeze",
        "All file systems of the guest are unmounted.",
        _REFUSED,
        "C-FS-DIRTY",
        _in_guest("umount /mnt/vda", "mount -t ext4 /dev/vda /mnt/vda"),
    ),
    Fault(
        "freeze too slow",
        "The storage is so slow that the freeze does not end in time.",
        "GuestAgentSnapshotTaskStatusError",
        "C-STARVED",
        _slow_disk,
    ),
)
