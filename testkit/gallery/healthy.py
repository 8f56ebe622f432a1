"""Healthy set-ups of many kinds, each visited by the doctor: whatever it warns of there is a false alarm."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from overwinter.doctor.check import Status
from overwinter.doctor.doctor import Doctor
from overwinter.model.disk_selection import DiskSelection
from overwinter.model.policy import DEFAULT_POLICY, ENHANCED_POLICY
from testkit.debian_domains import Firmware, make_debian_guest
from testkit.domains import TinyGuest
from testkit.gallery.faults.applications import with_scripts
from testkit.gallery.faults.disks import a_secret, encrypted
from testkit.gallery.faults.object_store import in_object_store
from testkit.gallery.patient import Patient
from testkit.gallery.scene import POSTGRESQL, Scene

#: A visit may take so long.
VISIT_LIMIT_S = 10.0


@dataclass(frozen=True)
class SetUp:
    """One healthy VM; ``place`` as in `Fault`."""

    name: str
    make: Callable[[Scene], Patient]
    place: str = "overwinter"


@dataclass(frozen=True)
class Visit:
    """What the doctor said of one: how long it took, what it warned of, and what it could not tell."""

    set_up: SetUp
    seconds: float
    alarms: tuple[str, ...]
    unknown: tuple[str, ...]


def visit(scene: Scene, set_up: SetUp) -> Visit:
    """Make one, and let the doctor come. Raises what making it raises."""
    with scene.showing():
        scene.clock.now = datetime.now(UTC)
        patient = set_up.make(scene)
        scene.clock.now = datetime.now(UTC)
        begun = time.monotonic()
        report = Doctor(patient.service.runtime).examine(patient.guest.name)
        seconds = time.monotonic() - begun
    said = [(f"{each.check.id} {each.finding.reason} {each.why}".strip(), each) for each in report.results]
    return Visit(
        set_up,
        seconds,
        tuple(words for words, each in said if each.finding.status in (Status.WARN, Status.FAIL)),
        tuple(words for words, each in said if each.finding.status is Status.UNKNOWN),
    )


# --- the set-ups ------------------------------------------------------------------------------------------


def _backed_up(make: Callable[[Scene], Patient]) -> Callable[[Scene], Patient]:
    def made(scene: Scene) -> Patient:
        patient = make(scene)
        patient.station.backup(patient.item, expected=patient.expected)
        return patient

    return made


def _running(*formats: str, policy: str = DEFAULT_POLICY) -> Callable[[Scene], Patient]:
    return lambda scene: scene.protect(scene.make_guest(*formats, start=True), policy)


def _off(*formats: str) -> Callable[[Scene], Patient]:
    return lambda scene: scene.stopped(*formats)


def _strict(scene: Scene) -> Patient:
    return scene.protect(scene.make_guest(start=True), scene.strict_policy())


def _debian(firmware: Firmware) -> Callable[[Scene], Patient]:
    def make(scene: Scene) -> Patient:
        guest = make_debian_guest(scene.ground, f"well-{uuid4().hex[:6]}", firmware=firmware)
        scene.meanwhile(_removed(scene, guest))
        return scene.protect(guest)

    return make


@contextmanager
def _removed(scene: Scene, guest: TinyGuest) -> Iterator[None]:
    """The guest is removed at the end."""
    yield
    scene.ground.guests.remove(guest)


def _with_extension(scene: Scene) -> Patient:
    return scene.protect(scene.make_guest_with_python())


def _applications(scene: Scene) -> Patient:
    return scene.meanwhile(with_scripts(scene))


def _crash_consistent(scene: Scene) -> Patient:
    """Nobody wants an agent there, and none is."""
    guest = scene.make_guest(agent=False, start=True)
    return scene.protect(guest, scene.station.crash_consistent_policy())


def _encrypted(scene: Scene) -> Patient:
    """Its secret can be read; what QEMU encrypts is not covered, and each backup says so."""
    patient = scene.meanwhile(encrypted(64 << 20, a_secret(private=False, valued=True))(scene))
    patient.expected = ("DiskNotCovered",)
    return patient


def _disk_left_out(scene: Scene) -> Patient:
    guest, station = scene.make_guest("qcow2", "raw"), scene.station
    machine = station.service.machine(guest.name)
    chosen = DiskSelection(luns=(0,))
    station.completed(station.service.protect(station.vault, machine, DEFAULT_POLICY, chosen))
    item = station.service.item(station.vault, guest.name)
    return Patient(station, scene.clock, guest, item)


def _resumed(scene: Scene) -> Patient:
    """Its protection was stopped for a while."""
    patient = scene.stopped()
    patient.station.backup(patient.item)
    patient.completed(lambda: patient.service.unprotect(patient.item, delete_data=False))
    patient.item = patient.station.protect(patient.guest)
    return patient


def _restored(scene: Scene) -> Patient:
    """A restored copy that was taken into use."""
    original = scene.protect(scene.make_guest(file_system=True))
    point = original.station.backup(original.item)
    name = f"{original.guest.name}-restored"
    directory = scene.directory()
    directory.mkdir(mode=0o755)
    original.completed(
        lambda: original.service.restore_as_vm(point, vm_name=name, directory=directory, start=True)
    )
    guest = scene.ground.guests.find(name)
    scene.meanwhile(_removed(scene, guest))
    guest.wait_ready()
    return scene.protect(guest)


def _merged(scene: Scene) -> Patient:
    """Points have expired on the host, and their overlays were merged while the VM ran."""
    scene.clock.now -= timedelta(days=9)
    patient = _strict(scene)
    for _ in range(3):
        patient.station.backup(patient.item)
        patient.write()
        scene.clock.now += timedelta(days=3)
    return patient


def _one_of_several_vaults(scene: Scene) -> Patient:
    scene.clock.now -= timedelta(days=3)  # its backup is as much later
    return scene.in_own_vault()


def _in_object_store(scene: Scene) -> Patient:
    scene.clock.now -= timedelta(days=3)
    return in_object_store(scene).patient


SET_UPS: tuple[SetUp, ...] = (
    SetUp("running on qcow2", _backed_up(_running("qcow2"))),
    SetUp("running on raw", _backed_up(_running("raw"))),
    SetUp("running on three disks of both kinds", _backed_up(_running("qcow2", "raw", "qcow2"))),
    SetUp("off", _backed_up(_off("qcow2"))),
    SetUp("off, three disks", _backed_up(_off("raw", "qcow2", "raw"))),
    SetUp("off, never backed up", _off("raw")),
    SetUp("running, never backed up", _running("qcow2")),
    SetUp("under a policy that wants frozen file systems", _backed_up(_strict)),
    SetUp("under a policy of many backups a day", _backed_up(_running("qcow2", policy=ENHANCED_POLICY))),
    SetUp("under a policy that freezes nothing, without an agent", _backed_up(_crash_consistent)),
    SetUp("with the extension", _backed_up(_with_extension)),
    SetUp("with scripts for its applications", _backed_up(_applications)),
    SetUp("Debian", _backed_up(_debian(Firmware.BIOS))),
    SetUp("Debian on UEFI", _backed_up(_debian(Firmware.UEFI))),
    SetUp("with an encrypted disk", _backed_up(_encrypted)),
    SetUp("with a disk left out", _backed_up(_disk_left_out)),
    SetUp("after its protection was stopped and resumed", _backed_up(_resumed)),
    SetUp("after a restore", _backed_up(_restored)),
    SetUp("after overlays were merged", _backed_up(_merged)),
    SetUp("in one of several vaults", _one_of_several_vaults),
    SetUp("in an object store", _in_object_store),
    SetUp("with its catalog on PostgreSQL", _backed_up(_running("qcow2")), POSTGRESQL),
    SetUp("under the edition of 2018", _backed_up(_running("qcow2")), "2018"),
    SetUp("under the edition of 2021", _backed_up(_running("qcow2")), "2021"),
)
