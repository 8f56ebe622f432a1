"""Faults of the VM's power and life: paused, crashed, killed, stopped by its disk, off, gone."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import libvirt
import libvirt_qemu

from testkit.disks import MIB
from testkit.domains import TinyGuest
from testkit.file_systems import remount
from testkit.gallery.fault import Fault
from testkit.gallery.patient import Patient
from testkit.gallery.scene import Scene, redefine
from testkit.waiting import wait_until

_STATE = "UserErrorVmNotInDesirableState"
_FAILED = "UserErrorVmProvisioningStateFailed"

#: Where the panic device listens; the kernel writes a bit there when it panics.
_PANIC_PORT = 0x505


@contextmanager
def _paused(scene: Scene) -> Iterator[Patient]:
    patient = scene.running()
    patient.guest.domain.suspend()
    yield patient
    patient.guest.domain.resume()


@contextmanager
def _off_under_strict_policy(scene: Scene) -> Iterator[Patient]:
    guest = scene.make_guest(start=True)
    guest.destroy()
    yield scene.protect(guest, scene.strict_policy())
    guest.start()


@contextmanager
def _killed(scene: Scene) -> Iterator[Patient]:
    """As the kernel does it when the host runs out of memory."""
    guest = scene.make_guest(start=True)
    patient = scene.protect(guest, scene.strict_policy())
    os.kill(int(Path(f"/run/libvirt/qemu/{guest.name}.pid").read_text()), signal.SIGKILL)
    wait_until(lambda: not guest.domain.isActive(), "it still runs")
    yield patient
    guest.start()


@contextmanager
def _crashed(scene: Scene) -> Iterator[Patient]:
    guest = scene.make_guest(file_system=True)
    redefine(guest, "<on_crash>destroy</on_crash>", "<on_crash>preserve</on_crash>")
    redefine(guest, "</devices>", "<panic model='isa'/></devices>")
    guest.start()
    patient = scene.protect(guest)
    write = f"o /b {_PANIC_PORT} 1"
    libvirt_qemu.qemuMonitorCommand(guest.domain, write, libvirt_qemu.VIR_DOMAIN_QEMU_MONITOR_COMMAND_HMP)
    wait_until(lambda: guest.domain.state()[0] == libvirt.VIR_DOMAIN_CRASHED, "it did not crash")
    yield patient
    guest.destroy()
    guest.start()


@contextmanager
def _disk_full(scene: Scene) -> Iterator[Patient]:
    guest = scene.make_guest_in(scene.small_directory(24), size=128 * MIB, start=True)
    patient = scene.protect(guest, scene.strict_policy())
    _fill(guest)
    yield patient
    _give_room(patient)
    if guest.domain.state()[0] == libvirt.VIR_DOMAIN_PAUSED:
        guest.domain.resume()


@contextmanager
def _overlay_full(scene: Scene) -> Iterator[Patient]:
    """The same after a backup: the file system is full of what was written since."""
    guest = scene.make_guest_in(scene.small_directory(4096), size=128 * MIB, start=True)
    patient = scene.protect(guest, scene.strict_policy())
    patient.backup_is_right()
    remount(guest.disks["vda"].parent, "size=40m")
    _fill(guest)
    yield patient
    _give_room(patient)
    if guest.domain.state()[0] == libvirt.VIR_DOMAIN_PAUSED:
        guest.domain.resume()


def _fill(guest: TinyGuest) -> None:
    """Let the guest write until its disk's storage is full and QEMU stops it."""
    script = "dd if=/dev/urandom of=/mnt/vda/much bs=1M count=60; sync; rm /mnt/vda/much"
    guest.agent.command("guest-exec", path="/bin/sh", arg=["-c", script])
    wait_until(lambda: guest.domain.state()[0] == libvirt.VIR_DOMAIN_PAUSED, "the disk is not full", 60)


def _give_room(patient: Patient) -> None:
    remount(patient.guest.disks["vda"].parent, "size=4g")


@contextmanager
def _gone(scene: Scene) -> Iterator[Patient]:
    patient = scene.stopped()
    domain = patient.guest.domain
    xml = domain.XMLDesc()
    domain.undefine()
    yield patient
    domain.connect().defineXML(xml)


FAULTS = (
    Fault("VM paused", "Somebody paused the VM.", "UserErrorBcmDatasourceNotPresent", "C-VM-PAUSED", _paused),
    Fault(
        "VM off under a strict policy",
        "The VM is off, and its policy wants frozen file systems.",
        _STATE,
        "C-OFF-UNDER-POLICY",
        _off_under_strict_policy,
    ),
    Fault(
        "QEMU killed",
        "The host ran out of memory and killed QEMU.",
        _STATE,
        "C-OFF-UNDER-POLICY",
        _killed,
    ),
    Fault("guest crashed", "The guest's kernel panicked.", _FAILED, "C-VM-CRASHED", _crashed),
    Fault(
        "VM stopped by a full disk",
        "The storage of its disk was full, so QEMU paused the VM.",
        _FAILED,
        "C-DISK-STOPPED",
        _disk_full,
        repair="vm-resume",
        before_repair=_give_room,
    ),
    Fault(
        "VM stopped by a full overlay",
        "The overlay has filled the file system, so QEMU paused the VM.",
        _FAILED,
        "C-DISK-STOPPED",
        _overlay_full,
        repair="vm-resume",
        before_repair=_give_room,
    ),
    Fault("VM gone", "Somebody removed the VM's definition.", "BCMV2VMNotFound", "C-VM-GONE", _gone),
)
