"""Faults of what the service itself stands on: libvirt, the database, its clock."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta

from testkit.gallery.fault import Fault
from testkit.gallery.patient import Patient
from testkit.gallery.scene import POSTGRESQL, Scene


@contextmanager
def _libvirt_away(scene: Scene) -> Iterator[Patient]:
    patient = scene.stopped()
    scene.libvirt.cut()
    try:
        yield patient
    finally:
        scene.libvirt.connect()


@contextmanager
def _libvirt_hung(scene: Scene) -> Iterator[Patient]:
    patient = scene.stopped()
    scene.libvirt.stall()
    try:
        yield patient
    finally:
        scene.libvirt.cut()
        scene.libvirt.connect()


@contextmanager
def _database_away(scene: Scene) -> Iterator[Patient]:
    patient = scene.stopped()
    assert scene.database is not None
    scene.database.cut()
    try:
        yield patient
    finally:
        scene.database.connect()


def _clock_moved(by: timedelta) -> Callable[[Scene], AbstractContextManager[Patient]]:
    @contextmanager
    def inject(scene: Scene) -> Iterator[Patient]:
        patient = scene.stopped()
        patient.backup_is_right()
        scene.clock.now += by
        yield patient
        scene.clock.now -= by

    return inject


_YEAR = timedelta(days=365)

FAULTS = (
    Fault("host's clock set back", "The host's clock jumped a year back.", "", None, _clock_moved(-_YEAR)),
    Fault("host's clock set ahead", "The host's clock jumped a year ahead.", "", None, _clock_moved(_YEAR)),
    Fault("libvirt away", "libvirtd has ended.", "HypervisorUnavailable", "C-LIBVIRT-DOWN", _libvirt_away),
    Fault(
        "libvirt hung",
        "libvirtd runs and does not answer.",
        "HypervisorUnavailable",
        "C-LIBVIRT-HUNG",
        _libvirt_hung,
    ),
    Fault(
        "database away",
        "The database server is down.",
        "CatalogUnavailable",
        "C-DATABASE-AWAY",
        _database_away,
        place=POSTGRESQL,
    ),
)
