"""Faults of the guest as a whole: out of memory, its disk full, on its way down, its storage hanging."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from overwinter.guest.extension import FOLDER
from testkit.console import console_run
from testkit.gallery.fault import Fault
from testkit.gallery.held import backup_held
from testkit.gallery.patient import Patient, Told
from testkit.gallery.scene import Scene

_LIMIT_S = 60

#: Lets a program take all memory; the kernel is told to kill the agent first.
_RUN_OUT_OF_MEMORY = (
    "touch /run/no-agent; echo 1000 >/proc/$(pidof qemu-ga)/oom_score_adj; "
    "tail /dev/zero & while pidof qemu-ga >/dev/null; do sleep 0.1; done; kill $!"
)

_FILLER = "/var/tmp/filler"


@contextmanager
def _out_of_memory(scene: Scene) -> Iterator[Patient]:
    patient = scene.running()
    console_run(patient.guest.domain, _RUN_OUT_OF_MEMORY, _LIMIT_S)
    yield patient
    patient.guest.resume_agent()


@contextmanager
def _disk_full(scene: Scene) -> Iterator[Patient]:
    """The root file system has no room for the extension that is to come."""
    patient = scene.running_debian()
    patient.guest.agent.check(
        f"rm -rf {FOLDER}; fallocate -l $(df -B1 --output=avail / | tail -1) {_FILLER};"
        f"dd if=/dev/zero of={_FILLER}2 bs=1M 2>/dev/null; sync"
    )
    yield patient
    _give_room(patient)


def _give_room(patient: Patient) -> None:
    patient.guest.agent.check(f"rm -f {_FILLER} {_FILLER}2; sync")


@contextmanager
def _shut_down(scene: Scene) -> Iterator[Patient]:
    patient = scene.running()
    yield patient
    patient.guest.start()


def _when_noted(do: Callable[[Patient], None]) -> Callable[[Patient], Told]:
    """A backup whose checks have passed when something happens, before the freeze."""
    return backup_held("snapshot.noted", do)


def _shut_it_down(patient: Patient) -> None:
    patient.guest.shutdown()


@contextmanager
def _hanging_disk(scene: Scene) -> Iterator[Patient]:
    """The guest waits for its disk for ever: what it has written does not reach it."""
    patient = scene.running_with_python()
    domain = patient.guest.domain
    domain.setBlockIoTune("vda", {"write_bytes_sec": 1})
    console_run(domain, "dd if=/dev/urandom of=/mnt/vda/slow bs=1M count=3 2>/dev/null", _LIMIT_S)
    yield patient
    domain.setBlockIoTune("vda", {"write_bytes_sec": 0})
    console_run(domain, "sync", _LIMIT_S)


#: The outer file system is frozen before the inner one, whose image is a file of it: mounted later, it is the
#: first in the agent's order. The inner one can never be written out then.
_MOUNT_IN_FILE = """
set -e
[ -e /sys/module/loop ] || insmod /lib/modules/loop.ko
mkdir -p /run/inner /run/outer
dd if=/dev/zero of=/mnt/vda/image bs=1M count=4 2>/dev/null
mke2fs -q -F /mnt/vda/image >/dev/null
mount -t ext4 -o loop /mnt/vda/image /run/inner
mount -t ext4 /dev/vda /run/outer
dd if=/dev/urandom of=/run/inner/unsaved bs=64k count=9 2>/dev/null
"""
_HIDE_PYTHON, _SHOW_PYTHON = (
    "mv /usr/bin/python3 /usr/bin/python3.kept",
    "mv /usr/bin/python3.kept /usr/bin/python3",
)


@contextmanager
def _deadlock(scene: Scene) -> Iterator[Patient]:
    """The extension leaves such a file system alone; where it cannot run, the agent freezes it as well."""
    patient = scene.running_with_python()
    patient.guest.agent.check(f"{_HIDE_PYTHON}{_MOUNT_IN_FILE}")
    yield patient
    console_run(patient.guest.domain, "fsfreeze --unfreeze /run/outer", _LIMIT_S)
    patient.guest.wait_ready()
    patient.guest.agent.check(f"umount /run/outer; umount /run/inner; rm /mnt/vda/image; {_SHOW_PYTHON}")


@contextmanager
def _clock_ahead(scene: Scene) -> Iterator[Patient]:
    patient = scene.running_with_python()
    patient.guest.agent.check("date -s @$(($(date +%s) + 31536000))")
    yield patient
    patient.guest.agent.check("date -s @$(($(date +%s) - 31536000))")


FAULTS = (
    Fault("guest's clock set ahead", "The guest's clock jumped a year ahead.", "", None, _clock_ahead),
    Fault(
        "guest out of memory",
        "The guest ran out of memory, and its kernel killed the agent.",
        "UserErrorGuestAgentStatusUnavailable",
        "C-AGENT-STATE",
        _out_of_memory,
    ),
    Fault(
        "guest's disk full",
        "The guest's disk has no room for the extension.",
        "GuestExtensionFailed",
        "C-EXT-LOAD",
        _disk_full,
        repair="backup",
        before_repair=_give_room,
    ),
    Fault(
        "guest shut down under way",
        "The guest shut down after the backup had begun.",
        "UserErrorFsFreezeFailed",
        "C-VM-OFF",
        _shut_down,
        _when_noted(_shut_it_down),
    ),
    Fault(
        "disk of the guest hangs",
        "The guest waits for its disk without end.",
        "UserErrorFsFreezeFailed",
        "C-FS-DIRTY",
        _hanging_disk,
    ),
    Fault(
        "file system in a file of another",
        "A file system lies in a file of one that is frozen before it, so the freeze never ends.",
        "GuestThawUnconfirmed",
        "C-STILL-FROZEN",
        _deadlock,
    ),
)
