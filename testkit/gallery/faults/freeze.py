"""Faults of the freeze: already frozen, nothing to freeze, refused, too slow."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from overwinter.guest.extension import PACKAGE
from testkit.console import console_run
from testkit.gallery.fault import Fault
from testkit.gallery.faults.agent import with_options
from testkit.gallery.held import backup_held
from testkit.gallery.patient import Patient, Told
from testkit.gallery.scene import Scene

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
def _held_under_extension(scene: Scene) -> Iterator[Patient]:
    patient = scene.running_with_python()
    patient.guest.agent.check("fsfreeze --freeze /mnt/vda")
    yield patient
    patient.guest.agent.run("fsfreeze --unfreeze /mnt/vda")


@contextmanager
def _slow_disk(scene: Scene) -> Iterator[Patient]:
    """So slow that writing out what the guest has not written yet takes longer than the agent may take."""
    patient = scene.running()
    domain = patient.guest.domain
    domain.setBlockIoTune("vda", {"write_bytes_sec": 256 * 1024})
    console_run(domain, "dd if=/dev/urandom of=/mnt/vda/slow bs=1M count=3 2>/dev/null", _LIMIT_S)
    yield patient
    domain.setBlockIoTune("vda", {"write_bytes_sec": 0})


def _in_window(do: Callable[[Patient], None]) -> Callable[[Patient], Told]:
    """A backup in whose window, while the guest is frozen, something happens."""
    return backup_held("window.frozen", do)


def _kill_agent(patient: Patient) -> None:
    """The guest's init starts another one, which does not know that anything is frozen."""
    patient.guest.kill_agent()
    patient.guest.wait_ready()


def _stand_still(patient: Patient) -> None:
    """The host is busy for longer than the guard lets a guest be frozen."""
    console_run(patient.guest.domain, "date >/mnt/vda/stall", _LIMIT_S)  # waits until nothing is frozen


def _kill_extension(patient: Patient) -> None:
    """Both of its processes, so that nobody in the guest thaws."""
    pids = f"$(ps -o pid,args | grep '[p]ython3 -IS {PACKAGE}' | awk '{{print $1}}')"
    console_run(patient.guest.domain, f"pids={pids}; kill -STOP $pids; kill -9 $pids", _LIMIT_S)


def _pull_the_plug(patient: Patient) -> None:
    patient.guest.destroy()


@contextmanager
def _healthy(scene: Scene) -> Iterator[Patient]:
    yield scene.running()


@contextmanager
def _with_extension(scene: Scene) -> Iterator[Patient]:
    yield scene.running_with_python()


@contextmanager
def _to_be_started_again(scene: Scene) -> Iterator[Patient]:
    patient = scene.running()
    yield patient
    patient.guest.start()


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
        "file system held frozen before the extension",
        "A program in a guest with the extension holds a file system frozen.",
        _REFUSED,
        "C-FS-FROZEN",
        _held_under_extension,
        repair="backup",
    ),
    Fault(
        "freeze hook fails",
        "The agent runs a hook before the freeze, and that fails.",
        _REFUSED,
        "C-AGENT-ERROR",
        with_options("-F/bin/false"),
    ),
    Fault(
        "nothing to freeze",
        "All file systems of the guest are unmounted.",
        _REFUSED,
        "C-NO-FS",
        _in_guest("umount /mnt/vda", "mount -t ext4 /dev/vda /mnt/vda"),
    ),
    Fault(
        "freeze too slow",
        "The storage is so slow that the freeze does not end in time.",
        "GuestAgentSnapshotTaskStatusError",
        "C-STARVED",
        _slow_disk,
    ),
    Fault(
        "agent killed in the window",
        "The agent was killed and started again while the guest was frozen: it stays so, and can be thawed.",
        "",
        None,
        _healthy,
        _in_window(_kill_agent),
        repair="backup",
    ),
    Fault(
        "extension killed in the window",
        "The extension was killed while it held the guest frozen.",
        _REFUSED,
        "C-AGENT-ERROR",
        _with_extension,
        _in_window(_kill_extension),
        repair="backup",
    ),
    Fault(
        "host stalled in the window",
        "The host stood still while the guest was frozen, so the guard thawed it.",
        _REFUSED,
        "C-HOST-STALLED",
        _healthy,
        _in_window(_stand_still),
        repair="backup",
    ),
    Fault(
        "VM killed in the window",
        "The VM was switched off while it was frozen.",
        _REFUSED,
        "C-VM-OFF",
        _to_be_started_again,
        _in_window(_pull_the_plug),
    ),
)
