"""Faults of a disk's chain: files gone, damaged, swapped, changed; a definition that names another image."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import libvirt

from overwinter.model.job import Job
from testkit.disks import MIB, write_image
from testkit.gallery.fault import Fault
from testkit.gallery.scene import Patient, Scene, Told, redefine, told
from testkit.waiting import wait_until

_UNREADABLE = "DiskImageUnreadable"
_UNEXPECTED = "DiskChainUnexpected"

_LIMIT_S = 120.0


def _layer(number: int, spoil: Callable[[Path], None]) -> Callable[[Scene], AbstractContextManager[Patient]]:
    """Something happens to a layer (0: the newest) of a VM that is off and has been backed up twice."""

    @contextmanager
    def inject(scene: Scene) -> Iterator[Patient]:
        patient = scene.stopped()
        patient.backup_is_right()
        patient.backup_is_right()
        layer = patient.guest.chain("vda")[number]
        kept = layer.with_name(f"{layer.name}.kept")
        subprocess.run(["cp", "--sparse=always", "--preserve=all", layer, kept], check=True)
        spoil(layer)
        yield patient
        kept.rename(layer)

    return inject


def _overwrite_header(image: Path) -> None:
    with image.open("r+b") as file:
        file.write(os.urandom(512))


def _cut(image: Path) -> None:
    os.truncate(image, 100)


def _on_itself(image: Path) -> None:
    rebase = ["qemu-img", "rebase", "-u", "-f", "qcow2", "-F", "qcow2", "-b", str(image), str(image)]
    subprocess.run(rebase, check=True)


def _on_nothing(image: Path) -> None:
    lost = image.with_name("lost.qcow2")
    rebase = ["qemu-img", "rebase", "-u", "-f", "qcow2", "-F", "qcow2", "-b", str(lost), str(image)]
    subprocess.run(rebase, check=True)


@contextmanager
def _redefined_while_running(scene: Scene) -> Iterator[Patient]:
    """A configuration tool defines the VM anew from its template, which names the original image."""
    patient = scene.running()
    patient.backup_is_right()
    _name_original(patient)
    yield patient
    _name_overlay(patient)


def _name_original(patient: Patient) -> None:
    overlay = patient.guest.chain("vda")[0]
    xml = patient.guest.domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    original = patient.guest.disks["vda"]
    xml = xml.replace(str(overlay), str(original))
    patient.guest.domain.connect().defineXML(xml)


def _name_overlay(patient: Patient) -> None:
    overlay, original = patient.guest.chain("vda")[0], patient.guest.disks["vda"]
    xml = patient.guest.domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    if str(overlay) not in xml:
        redefine(patient.guest, f"'{original}'", f"'{overlay}'")


@contextmanager
def _slow(scene: Scene) -> Iterator[Patient]:
    """A VM whose disk takes some seconds to transfer."""
    guest = scene.make_guest("raw")
    write_image(guest.disks["vda"], "raw", [(0, os.urandom(16 * MIB))])
    patient = scene.protect(guest, scene.station.slow_policy(4 * MIB))
    yield patient
    patient.item = scene.station.protect(guest)


def _written_to_under_way(patient: Patient) -> Told:
    """A backup during whose transfer another program writes to the frozen image."""

    def start() -> Job:
        job = patient.service.backup(patient.item, expires=None)
        wait_until(lambda: (patient.service.job(job.id).tasks[1].done or 0) > 0, "no transfer", _LIMIT_S)
        with patient.guest.disks["vda"].open("r+b") as image:
            image.write(os.urandom(4096))
        return job

    return told(patient, start)


FAULTS = (
    Fault(
        "newest overlay lost",
        "Somebody deleted the newest overlay of a VM that is off.",
        _UNREADABLE,
        "C-IMAGE-AWAY",
        _layer(0, Path.unlink),
    ),
    Fault(
        "middle overlay lost",
        "Somebody deleted an overlay in the middle of the chain.",
        _UNREADABLE,
        "C-IMAGE-AWAY",
        _layer(1, Path.unlink),
    ),
    Fault(
        "original image lost",
        "Somebody deleted the image below the overlays.",
        _UNREADABLE,
        "C-IMAGE-AWAY",
        _layer(-1, Path.unlink),
    ),
    Fault(
        "overlay header overwritten",
        "The first sector of an overlay is noise.",
        _UNREADABLE,
        "C-IMAGE-DAMAGED",
        _layer(0, _overwrite_header),
    ),
    Fault(
        "overlay cut off",
        "A copy that broke off left the first bytes of an overlay.",
        _UNREADABLE,
        "C-IMAGE-DAMAGED",
        _layer(1, _cut),
    ),
    Fault(
        "chain leads back to itself",
        "Somebody rebased an overlay onto itself.",
        _UNREADABLE,
        "C-IMAGE-DAMAGED",
        _layer(0, _on_itself),
    ),
    Fault(
        "overlay rebased onto nothing",
        "Somebody rebased an overlay onto a file that does not exist.",
        _UNREADABLE,
        "C-IMAGE-AWAY",
        _layer(0, _on_nothing),
    ),
    Fault(
        "definition names an older image",
        "A tool defined the running VM anew, with the image below its overlays.",
        _UNEXPECTED,
        "C-CHAIN-FOREIGN",
        _redefined_while_running,
        repair="overlay-adopt",
    ),
    Fault(
        "frozen image written to",
        "Another program writes to a frozen image while it is transferred.",
        _UNEXPECTED,
        "C-CHAIN-FOREIGN",
        _slow,
        _written_to_under_way,
        repair="backup",
    ),
)
