"""Faults of snapshots in the middle of which libvirt's daemon was killed."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from testkit.gallery.fault import Fault
from testkit.gallery.patient import Patient
from testkit.gallery.scene import Scene
from testkit.lost_snapshot import interrupted, snapshot_behind_libvirt


def _lost(*, only_opened: bool) -> Callable[[Scene], AbstractContextManager[Patient]]:
    @contextmanager
    def inject(scene: Scene) -> Iterator[Patient]:
        patient = scene.running()
        plan = interrupted(patient.service._runtime, patient.guest.name)
        snapshot_behind_libvirt(patient.guest.domain, plan, only_opened=only_opened)
        patient.write()
        yield patient

    return inject


FAULTS = (
    Fault(
        "snapshot that only QEMU knows",
        "libvirt's daemon was killed in the middle of a snapshot; the VM goes on in overlays unknown to it.",
        "",
        None,
        _lost(only_opened=False),
        repair="backup",
    ),
    Fault(
        "overlays that QEMU only opened",
        "libvirt's daemon was killed just before a snapshot was taken, with the overlays open.",
        "",
        None,
        _lost(only_opened=True),
        repair="backup",
    ),
)
