"""Faults of a disk's chain: files gone, damaged, swapped, changed; a definition that names another image."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import libvirt

from overwinter.model.job import Job
from testkit.disks import MIB, chain, write_image
from testkit.domains import disk_files
from testkit.gallery.fault import Fault
from testkit.gallery.held import held
from testkit.gallery.patient import Patient, Told, told
from testkit.gallery.scene import Scene, redefine
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
    _rebase(image, image)


def _on_nothing(image: Path) -> None:
    _rebase(image, image.with_name("lost.qcow2"))


def _rebase(image: Path, below: Path) -> None:
    command = ["qemu-img", "rebase", "-u", "-f", "qcow2", "-F", "qcow2", "-b", str(below), str(image)]
    subprocess.run(command, check=True)


def _defined_anew(number: int) -> Callable[[Scene], AbstractContextManager[Patient]]:
    """A tool defines the running VM anew, as it was when it ran on that layer of its chain."""

    @contextmanager
    def inject(scene: Scene) -> Iterator[Patient]:
        patient = scene.running()
        patient.backup_is_right()
        patient.backup_is_right()
        _name_image(patient, patient.guest.chain("vda")[number])
        yield patient
        _name_image(patient, patient.guest.chain("vda")[0])

    return inject


def _name_image(patient: Patient, image: Path) -> None:
    """Let the persistent definition name that image for the disk."""
    domain = patient.guest.domain
    named = disk_files(domain, libvirt.VIR_DOMAIN_XML_INACTIVE)["vda"]
    redefine(patient.guest, f"<source file='{named}'", f"<source file='{image}'")


@contextmanager
def _slow(scene: Scene) -> Iterator[Patient]:
    """A VM whose disk takes some seconds to transfer."""
    guest = scene.make_guest("raw")
    write_image(guest.disks["vda"], "raw", [(0, os.urandom(48 * MIB))])
    patient = scene.protect(guest, scene.station.slow_policy(8 * MIB))
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


def _before_transfer(do: Callable[[Path], None]) -> Callable[[Patient], Told]:
    """A backup between whose snapshot and transfer something happens to the frozen image."""

    def attempt(patient: Patient) -> Told:
        patient.backup_is_right()

        def start() -> Job:
            with held("snapshot.taken", patient.station.directory) as arrived:
                job = patient.service.backup(patient.item, expires=None)
                arrived()
                do(patient.guest.chain("vda")[1])
            return job

        return told(patient, start)

    return attempt


def _enlarge(image: Path) -> None:
    subprocess.run(["qemu-img", "resize", "-q", "-f", "qcow2", image, "+8M"], check=True)


@contextmanager
def _to_be_shrunk(scene: Scene) -> Iterator[Patient]:
    patient = scene.stopped()
    yield patient
    for layer in patient.guest.chain("vda")[1:]:
        subprocess.run(["qemu-img", "resize", "-q", "--shrink", "-f", "qcow2", layer, "64M"], check=True)


def _onto_a_copy(image: Path) -> None:
    below = chain(image)[1]
    copy = below.with_name(f"{below.name}.copy")
    subprocess.run(["cp", "--sparse=always", below, copy], check=True)
    _rebase(image, copy)


@contextmanager
def _stopped(scene: Scene) -> Iterator[Patient]:
    yield scene.stopped()


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
        _defined_anew(-1),
        repair="overlay-adopt",
    ),
    Fault(
        "definition of last week",
        "Somebody put back a definition of the running VM that was saved some backups ago.",
        _UNEXPECTED,
        "C-CHAIN-FOREIGN",
        _defined_anew(1),
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
    Fault(
        "frozen image resized",
        "Somebody resized a frozen image before it was transferred.",
        _UNEXPECTED,
        "C-CHAIN-FOREIGN",
        _to_be_shrunk,
        _before_transfer(_enlarge),
    ),
    Fault(
        "frozen overlay rebased",
        "Somebody rebased a frozen overlay onto a copy before it was transferred.",
        _UNEXPECTED,
        "C-CHAIN-FOREIGN",
        _stopped,
        _before_transfer(_onto_a_copy),
        repair="backup",
    ),
)
