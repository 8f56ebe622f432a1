"""Faults of the extension in the guest: removed, damaged, of another version, without room or Python."""

import io
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from overwinter.guest.extension import FOLDER, PACKAGE
from overwinter.model.freeze import FreezeMethod
from testkit.gallery.fault import Fault
from testkit.gallery.patient import Patient, Told, backup
from testkit.gallery.scene import Scene

_FAILED = "GuestExtensionFailed"
_NOT_LOADED = "C-EXT-LOAD"

_PYTHON = "/usr/bin/python3"

Inject = Callable[[Scene], AbstractContextManager[Patient]]


def _in_guest(do: str, undo: str = "true") -> Inject:
    """Something is done in a guest that has the extension."""

    @contextmanager
    def inject(scene: Scene) -> Iterator[Patient]:
        patient = scene.running_with_python()
        patient.station.backup(patient.item)
        patient.guest.agent.check(do)
        yield patient
        patient.guest.agent.check(undo)

    return inject


@contextmanager
def _older(scene: Scene) -> Iterator[Patient]:
    """As after an update of the host."""
    patient = scene.running_with_python()
    patient.station.backup(patient.item)
    agent = patient.guest.agent
    agent.write_file(PACKAGE, _of_another_version(agent.read_file(PACKAGE)))
    yield patient


def _of_another_version(package: bytes) -> bytes:
    """The same package with another number in its manifest."""
    written = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(package)) as ours, zipfile.ZipFile(written, "w") as other:
        for entry in ours.infolist():
            content = ours.read(entry)
            if entry.filename == "HandlerManifest.json":
                content = content.replace(b'"version": "', b'"version": "0.')
            other.writestr(entry, content)
    return written.getvalue()


def _backup_by_extension(patient: Patient) -> Told:
    """A backup that tells of nothing only if the extension did the freeze."""
    said = backup(patient)
    if not said.code:
        points = patient.service.recovery_points(patient.item)
        freeze = max(points, key=lambda point: point.created).freeze
        assert freeze is not None and freeze.method is FreezeMethod.EXTENSION, freeze
    return said


def _do(script: str) -> Callable[[Patient], None]:
    def act(patient: Patient) -> None:
        patient.guest.agent.check(script)

    return act


def _mended_on_the_way(name: str, seen: str, inject: Inject) -> Fault:
    """One that the next backup mends before anything of it fails."""
    return Fault(name, seen, "", None, inject, _backup_by_extension, repair="backup")


FAULTS = (
    _mended_on_the_way("extension removed", "Somebody deleted the extension.", _in_guest(f"rm -rf {FOLDER}")),
    _mended_on_the_way(
        "extension damaged",
        "The middle of the extension's package was overwritten.",
        _in_guest(f"dd if=/dev/urandom of={PACKAGE} bs=1k seek=9 count=4 conv=notrunc 2>/dev/null"),
    ),
    _mended_on_the_way(
        "extension emptied", "A power failure left a package of no bytes.", _in_guest(f": >{PACKAGE}")
    ),
    _mended_on_the_way("extension of another version", "The host was updated, the guest was not.", _older),
    Fault(
        "no room for the extension",
        "The extension is gone, and the file system for it is full.",
        _FAILED,
        _NOT_LOADED,
        _in_guest(f"mount -t tmpfs -o size=16k tmpfs {FOLDER}", f"umount {FOLDER}"),
        repair="backup",
        before_repair=_do(f"mount -o remount,size=4m {FOLDER}"),
    ),
    Fault(
        "extension on a read-only file system",
        "The extension is gone, and the file system for it is read-only.",
        _FAILED,
        _NOT_LOADED,
        _in_guest(f"mount -t tmpfs -o ro tmpfs {FOLDER}", f"umount {FOLDER}"),
        repair="backup",
        before_repair=_do(f"mount -o remount,rw {FOLDER}"),
    ),
    Fault(
        "no room for a session",
        "There is no memory for what the extension and the host say to each other.",
        _FAILED,
        _NOT_LOADED,
        _in_guest(
            "mkdir -p /run/overwinter; mount -t tmpfs -o nr_inodes=2 tmpfs /run/overwinter",
            "umount /run/overwinter",
        ),
    ),
    Fault(
        "Python broken",
        "The guest's Python ends at once.",
        _FAILED,
        _NOT_LOADED,
        _in_guest(
            f"mv {_PYTHON} {_PYTHON}.kept; printf '#!/bin/sh\\nexit 1\\n' >{_PYTHON}; chmod 755 {_PYTHON}",
            f"mv -f {_PYTHON}.kept {_PYTHON}",
        ),
    ),
)
