"""Faults of the place where overlays go: full, no more names, read-only, closed to QEMU, gone."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from testkit.file_systems import filled, remount
from testkit.gallery.fault import Fault
from testkit.gallery.patient import Patient
from testkit.gallery.scene import Scene

_NOT_TAKEN = "ExtensionOperationFailedForManagedDisks"


@contextmanager
def _nearly_full(scene: Scene) -> Iterator[Patient]:
    place = scene.small_directory(1200)
    patient = scene.protect(scene.make_guest_in(place, start=True), scene.strict_policy())
    with filled(place, leave=512 << 20):
        yield patient


@contextmanager
def _no_more_files(scene: Scene) -> Iterator[Patient]:
    """The file system has room but no inode."""
    place = scene.small_directory(4096, "nr_inodes=4")
    patient = scene.protect(scene.make_guest_in(place))
    fillers = [place / str(number) for number in range(2)]
    for filler in fillers:
        filler.touch()
    yield patient
    for filler in fillers:
        filler.unlink()
    remount(place, "nr_inodes=0")


@contextmanager
def _read_only(scene: Scene) -> Iterator[Patient]:
    place = scene.small_directory(4096)
    patient = scene.protect(scene.make_guest_in(place))
    remount(place, "ro")
    yield patient
    remount(place, "rw")


@contextmanager
def _closed_to_qemu(scene: Scene) -> Iterator[Patient]:
    place = scene.small_directory(4096)
    patient = scene.protect(scene.make_guest_in(place, start=True), scene.strict_policy())
    place.chmod(0o700)
    yield patient
    place.chmod(0o755)


@contextmanager
def _immutable(scene: Scene) -> Iterator[Patient]:
    """Somebody protected the directory against new files."""
    place = scene.directory()
    place.mkdir(mode=0o755)
    patient = scene.protect(scene.make_guest_in(place, start=True), scene.strict_policy())
    subprocess.run(["chattr", "+i", place], check=True)
    yield patient
    subprocess.run(["chattr", "-i", place], check=True)


@contextmanager
def _moved_away(scene: Scene) -> Iterator[Patient]:
    """The directory has another name while the VM runs on in its open file."""
    place = scene.directory()
    place.mkdir(mode=0o755)
    patient = scene.protect(scene.make_guest_in(place, start=True), scene.strict_policy())
    elsewhere = place.rename(place.with_name(f"{place.name}-moved"))
    yield patient
    elsewhere.rename(place)


FAULTS = (
    Fault(
        "overlay store nearly full",
        "Less than 1 GiB is free beside the disk.",
        "OverlaySpaceLow",
        "C-OVERLAY-SPACE",
        _nearly_full,
    ),
    Fault(
        "overlay store out of inodes",
        "The file system takes no more files.",
        "OverlaySpaceLow",
        "C-OVERLAY-SPACE",
        _no_more_files,
    ),
    Fault(
        "overlay store read-only",
        "The file system of the disk is mounted read-only.",
        _NOT_TAKEN,
        "C-DISK-STORAGE",
        _read_only,
    ),
    Fault(
        "overlay store closed to QEMU",
        "QEMU's user may not enter the directory any more.",
        _NOT_TAKEN,
        "C-DISK-STORAGE",
        _closed_to_qemu,
    ),
    Fault(
        "overlay store immutable",
        "The directory takes no new files.",
        _NOT_TAKEN,
        "C-DISK-STORAGE",
        _immutable,
    ),
    Fault(
        "overlay store moved away",
        "The directory of the disk was renamed while the VM runs.",
        _NOT_TAKEN,
        "C-DISK-STORAGE",
        _moved_away,
    ),
)
