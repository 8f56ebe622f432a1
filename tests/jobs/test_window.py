"""The freeze window on a real guest: short, whatever the disks' size, and never left frozen."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest

from overwinter.hypervisor import inventory
from overwinter.hypervisor.capture import CapturePlan
from overwinter.hypervisor.connection import Hypervisor
from overwinter.hypervisor.overlay_capture import OverlayCapture
from overwinter.jobs import window
from overwinter.model.errors import SnapshotFailed
from overwinter.model.point import Consistency
from testkit.disks import MIB, DiskSpec
from testkit.domains import TinyGuest
from testkit.ground import Ground

pytestmark = pytest.mark.libvirt

GIB = 1 << 30


class Scene:
    """A guest, and captures of it without a service."""

    def __init__(self, guest: TinyGuest, hypervisor: Hypervisor) -> None:
        self.guest = guest
        self.hypervisor = hypervisor
        self.method = OverlayCapture(hypervisor)
        self.uuid = inventory.machine(hypervisor, guest.name).uuid

    def prepared(self) -> CapturePlan:
        """A capture that only has to be taken."""
        plan = self.method.plan(inventory.machine(self.hypervisor, self.uuid), uuid4(), None)
        self.method.prepare(plan, MIB)
        return plan

    def run(self, snapshot: Callable[[], None]) -> window.WindowResult:
        """The window around ``snapshot``."""
        return window.run(self.hypervisor, self.uuid, snapshot)

    def assert_thawed(self) -> None:
        """Writing blocks in a frozen guest."""
        self.guest.agent.check("echo x > /mnt/vda/probe; sync", limit=30)


@pytest.fixture
def hypervisor() -> Iterator[Hypervisor]:
    opened = Hypervisor()
    yield opened
    opened.close()


@pytest.fixture
def scene(ground: Ground, hypervisor: Hypervisor) -> Iterator[Scene]:
    guest = ground.guests.make(f"window-{uuid4().hex[:6]}", [DiskSpec(size=64 * MIB)])
    yield Scene(guest, hypervisor)
    ground.guests.remove(guest)


def test_a_good_window_earns_file_system_consistency(scene: Scene) -> None:
    plan = scene.prepared()
    result = scene.run(lambda: scene.method.take(plan))
    assert (result.consistency, result.warnings) == (Consistency.FILE_SYSTEM, ())
    scene.assert_thawed()


def test_a_failing_snapshot_leaves_the_guest_thawed_and_its_chain_as_it_was(scene: Scene) -> None:
    plan = scene.prepared()
    overlay = Path(plan.disks[0].overlay)

    def snapshot() -> None:
        overlay.unlink()
        overlay.mkdir()  # libvirt cannot make its overlay here
        try:
            scene.method.take(plan)
        finally:
            overlay.rmdir()

    before = scene.guest.chain("vda")
    with pytest.raises(SnapshotFailed, match=r"was not taken.*cannot be read: Is a directory"):
        scene.run(snapshot)
    scene.assert_thawed()
    assert scene.guest.chain("vda") == before


def test_an_agent_that_dies_in_the_window_leaves_the_guest_thawed_and_an_honest_label(scene: Scene) -> None:
    plan = scene.prepared()

    def snapshot() -> None:
        scene.guest.kill_agent()
        scene.method.take(plan)

    result = scene.run(snapshot)
    scene.assert_thawed()
    if result.consistency is Consistency.CRASH:
        assert result.warnings


def test_a_guest_that_cannot_be_frozen_still_gets_its_snapshot(scene: Scene) -> None:
    scene.guest.agent.check("umount /mnt/vda")
    plan = scene.prepared()
    result = scene.run(lambda: scene.method.take(plan))
    assert result.consistency is Consistency.CRASH
    assert [warning.code for warning in result.warnings] == ["UserErrorFsFreezeFailed"]
    assert scene.method.was_taken(plan)


def test_a_vm_that_went_off_is_no_agent_that_is_silent(scene: Scene) -> None:
    scene.guest.destroy()
    plan = scene.prepared()
    result = scene.run(lambda: scene.method.take(plan))
    assert result.consistency is Consistency.CRASH
    assert [warning.code for warning in result.warnings] == ["UserErrorFsFreezeFailed"]


def test_the_window_is_short_and_does_not_grow_with_the_disk(ground: Ground, hypervisor: Hypervisor) -> None:
    """Shortest of several runs, because other programs share the machine."""
    shortest = {}
    for size in (64 * MIB, 2048 * GIB):
        # The big disk is empty but for its small file system: it is the size that is measured.
        disks = [DiskSpec(size=64 * MIB), DiskSpec(size=size, file_system=False)]
        guest = ground.guests.make(f"size-{uuid4().hex[:6]}", disks)
        scene = Scene(guest, hypervisor)
        times = []
        for _ in range(5):
            result = scene.run(partial(scene.method.take, scene.prepared()))
            assert result.freeze_ms is not None
            times.append(result.freeze_ms)
        shortest[size] = min(times)
        ground.guests.remove(guest)
    assert max(shortest.values()) < 1000, shortest
    assert shortest[2048 * GIB] < 3 * shortest[64 * MIB] + 100, shortest
