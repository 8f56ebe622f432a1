"""Snapshots on real libvirt: all formats, running and stopped, and the ways they can fail."""

import subprocess
from pathlib import Path
from uuid import uuid4

import libvirt
import pytest

from overwinter.hypervisor import lost_snapshot
from overwinter.hypervisor.capture import CapturePlan
from overwinter.hypervisor.connection import Hypervisor
from overwinter.hypervisor.inventory import machine
from overwinter.hypervisor.monitor import monitor_command
from overwinter.hypervisor.overlay_capture import OverlayCapture
from overwinter.model.errors import (
    BlockJobFailed,
    ChainUnexpected,
    NotFound,
    OverlaySpaceLow,
    SnapshotFailed,
    VmNotInDesirableState,
)
from overwinter.model.names import is_overlay
from testkit.lost_snapshot import snapshot_behind_libvirt
from tests.hypervisor.conftest import MIB, SIZE, BareMachine, BareMaker, moved, read_disk, small_file_system

pytestmark = pytest.mark.libvirt

#: What mixed disks show, single ones show too.
FORMATS = [
    pytest.param(("qcow2",), marks=pytest.mark.long),
    pytest.param(("raw",), marks=pytest.mark.long),
    ("qcow2", "raw", "qcow2"),
]


@pytest.fixture
def capture(hypervisor: Hypervisor) -> OverlayCapture:
    return OverlayCapture(hypervisor)


def plan_for(hypervisor: Hypervisor, vm: BareMachine, directory: Path | None = None) -> CapturePlan:
    return OverlayCapture(hypervisor).plan(machine(hypervisor, vm.uuid), uuid4(), directory)


def captured(hypervisor: Hypervisor, vm: BareMachine) -> CapturePlan:
    plan = plan_for(hypervisor, vm)
    OverlayCapture(hypervisor).prepare(plan, minimum_free=0)
    OverlayCapture(hypervisor).take(plan)
    return plan


def overlays_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir() if is_overlay(path.name))


@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
@pytest.mark.parametrize("formats", FORMATS, ids="+".join)
def test_three_snapshots_stand_still_while_the_vm_writes_on(
    hypervisor: Hypervisor,
    capture: OverlayCapture,
    machines: BareMaker,
    formats: tuple[str, ...],
    running: bool,
) -> None:
    vm = machines.make(formats, running=running)
    points = []
    for step in range(3):
        frozen = vm.snapshot_of()
        plan = captured(hypervisor, vm)
        assert capture.was_taken(plan)
        points.append((plan, frozen))
        for target in vm.disks:
            vm.write(target, step * 2 * MIB, 96 * 1024, 0x40 + step)
    for plan, frozen in points:
        for disk in plan.disks:
            assert read_disk(disk.chain[0], disk.formats[0]) == frozen[disk.target]
            assert Path(disk.overlay).stat().st_mode & 0o077 == 0
    if running:
        vm.domain.destroy()
        vm.domain.create()  # the persistent definition followed
    seen = machine(hypervisor, vm.uuid)
    for disk in seen.disks:
        assert [layer.path for layer in disk.chain] == [
            *(plan.disks[disk.lun + 1].overlay for plan, _ in reversed(points)),
            str(vm.disks[disk.target][0]),
        ]
        assert read_disk(*vm.top(disk.target)) == vm.content[disk.target]


def test_a_taken_snapshot_is_seen_after_the_vm_stopped_and_went_on(
    hypervisor: Hypervisor, capture: OverlayCapture, machines: BareMaker
) -> None:
    vm = machines.make(("qcow2", "raw"))
    first = captured(hypervisor, vm)
    vm.domain.destroy()
    captured(hypervisor, vm)
    assert capture.was_taken(first)
    with pytest.raises(ChainUnexpected):
        capture.discard(first)
    assert all(Path(disk.overlay).exists() for disk in first.disks)


@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
def test_nothing_is_left_when_there_is_room_for_one_overlay_of_two(
    hypervisor: Hypervisor, capture: OverlayCapture, machines: BareMaker, running: bool
) -> None:
    vm = machines.make(("qcow2", "raw"), running=running)
    with small_file_system(vm.directory / "overlays", kib=300) as elsewhere:
        plan = plan_for(hypervisor, vm, elsewhere)
        with pytest.raises(SnapshotFailed, match="space"):
            capture.prepare(plan, minimum_free=0)
        assert list(elsewhere.iterdir()) == []
    assert not capture.was_taken(plan)
    assert vm.top("vda")[0] == str(vm.disks["vda"][0])
    vm.write("vda", 0, 4096, 0x77)
    assert read_disk(*vm.top("vda")) == vm.content["vda"]
    captured(hypervisor, vm)


@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
def test_nothing_is_left_and_the_vm_runs_on_when_libvirt_refuses(
    hypervisor: Hypervisor, capture: OverlayCapture, machines: BareMaker, running: bool
) -> None:
    vm = machines.make(("qcow2", "raw"), running=running)
    plan = plan_for(hypervisor, vm)
    capture.prepare(plan, minimum_free=0)
    Path(plan.disks[1].overlay).unlink()
    with pytest.raises(SnapshotFailed, match="libvirt"):
        capture.take(plan)
    assert overlays_in(vm.directory) == []
    assert not capture.was_taken(plan)
    assert vm.top("vda")[0] == str(vm.disks["vda"][0])
    captured(hypervisor, vm)


def test_a_disk_resized_after_the_preparation_is_not_cut_off(
    hypervisor: Hypervisor, capture: OverlayCapture, machines: BareMaker
) -> None:
    vm = machines.make(("qcow2", "raw"))
    plan = plan_for(hypervisor, vm)
    capture.prepare(plan, minimum_free=0)
    vm.domain.blockResize("vdb", 2 * SIZE, 1)
    with pytest.raises(SnapshotFailed, match="resized"):
        capture.take(plan)
    assert overlays_in(vm.directory) == []
    captured(hypervisor, vm)
    assert [disk.size for disk in machine(hypervisor, vm.uuid).disks] == [SIZE, 2 * SIZE]


def test_a_crash_between_prepare_and_take_leaves_nothing_in_the_way(
    hypervisor: Hypervisor, capture: OverlayCapture, machines: BareMaker
) -> None:
    vm = machines.make()
    plan = plan_for(hypervisor, vm)
    capture.prepare(plan, minimum_free=0)
    assert not capture.was_taken(plan)
    with pytest.raises(SnapshotFailed, match="discarded first"):
        capture.prepare(plan, minimum_free=0)
    capture.discard(plan)
    capture.discard(plan)
    assert overlays_in(vm.directory) == []
    capture.prepare(plan, minimum_free=0)
    capture.take(plan)
    assert capture.was_taken(plan)


def lost(
    hypervisor: Hypervisor, machines: BareMaker, *, only_opened: bool = False
) -> tuple[BareMachine, CapturePlan]:
    """A running VM that QEMU has put on overlays of a plan without libvirt's knowledge, and has written."""
    vm = machines.make(("qcow2", "raw"), running=True)
    plan = plan_for(hypervisor, vm)
    OverlayCapture(hypervisor).prepare(plan, minimum_free=0)
    snapshot_behind_libvirt(vm.domain, plan, only_opened=only_opened)
    for target in vm.disks:
        vm.write(target, 2 * MIB, 64 * 1024, 0x55)
    return vm, plan


def test_a_snapshot_that_only_qemu_knows_is_taken_back(
    hypervisor: Hypervisor, capture: OverlayCapture, machines: BareMaker
) -> None:
    vm, plan = lost(hypervisor, machines)
    assert not capture.was_taken(plan), "libvirt does not know"
    capture.discard(plan)
    assert overlays_in(vm.directory) == []
    vm.write("vda", 3 * MIB, 64 * 1024, 0x66)
    taken = captured(hypervisor, vm)
    assert capture.was_taken(taken), "libvirt works with the VM again"
    vm.domain.destroy()
    for target in vm.disks:
        assert read_disk(*vm.top(target)) == vm.content[target]


def test_overlays_that_qemu_has_only_opened_are_closed(
    hypervisor: Hypervisor, capture: OverlayCapture, machines: BareMaker
) -> None:
    vm, plan = lost(hypervisor, machines, only_opened=True)
    capture.discard(plan)
    assert overlays_in(vm.directory) == []
    captured(hypervisor, vm)


@pytest.mark.parametrize("order", ["block-commit", "job-complete", "blockdev-del", "job-dismiss"])
def test_taking_back_goes_on_after_a_kill(
    hypervisor: Hypervisor,
    capture: OverlayCapture,
    machines: BareMaker,
    monkeypatch: pytest.MonkeyPatch,
    order: str,
) -> None:
    """Killed right after each order it gives to QEMU."""
    vm, plan = lost(hypervisor, machines)

    def killed(domain: libvirt.virDomain, name: str, arguments: dict[str, object] | None = None) -> object:
        answer = monitor_command(domain, name, arguments)
        if name == order:
            raise KeyboardInterrupt
        return answer

    with monkeypatch.context() as patched:
        patched.setattr(lost_snapshot, "monitor_command", killed)
        with pytest.raises(KeyboardInterrupt):
            capture.discard(plan)
    vm.write("vda", 3 * MIB, 64 * 1024, 0x66)
    capture.discard(plan)
    assert overlays_in(vm.directory) == []
    vm.domain.destroy()
    for target in vm.disks:
        assert read_disk(*vm.top(target)) == vm.content[target]


def test_a_commit_back_that_somebody_cancels_is_begun_again(
    hypervisor: Hypervisor, capture: OverlayCapture, machines: BareMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """QEMU calls a commit that was cancelled when it was ready a success."""
    vm, plan = lost(hypervisor, machines)

    def cancelling(
        domain: libvirt.virDomain, name: str, arguments: dict[str, object] | None = None
    ) -> object:
        if name != "job-complete":
            return monitor_command(domain, name, arguments)
        assert arguments is not None
        return monitor_command(domain, "block-job-cancel", {"device": arguments["id"]})

    with monkeypatch.context() as patched:
        patched.setattr(lost_snapshot, "monitor_command", cancelling)
        with pytest.raises(BlockJobFailed, match="cancelled"):
            capture.discard(plan)
    assert Path(plan.disks[0].overlay).exists()
    vm.write("vda", 3 * MIB, 64 * 1024, 0x66)
    capture.discard(plan)
    assert overlays_in(vm.directory) == []
    vm.domain.destroy()
    for target in vm.disks:
        assert read_disk(*vm.top(target)) == vm.content[target]


def test_an_original_without_space_keeps_the_vm_on_its_lost_overlay(
    hypervisor: Hypervisor, capture: OverlayCapture, machines: BareMaker
) -> None:
    vm = machines.make(("raw",), running=False)
    with small_file_system(vm.directory / "small", kib=2048) as full:
        moved(vm, full)
        vm.domain.create()
        plan = plan_for(hypervisor, vm, vm.directory)
        capture.prepare(plan, minimum_free=0)
        snapshot_behind_libvirt(vm.domain, plan)
        vm.write("vda", 4 * MIB, 6 * MIB, 0x55)
        with pytest.raises(BlockJobFailed, match="No space"):
            capture.discard(plan)
        assert Path(plan.disks[0].overlay).exists()
        subprocess.run(["mount", "-o", "remount,size=20m", full], check=True)
        capture.discard(plan)
        assert overlays_in(vm.directory) == []
        vm.domain.destroy()
        assert read_disk(*vm.top("vda")) == vm.content["vda"]


def test_what_is_in_a_lost_overlay_of_a_vm_that_is_off_is_kept(
    hypervisor: Hypervisor, capture: OverlayCapture, machines: BareMaker
) -> None:
    vm, plan = lost(hypervisor, machines)
    vm.domain.destroy()
    with pytest.raises(ChainUnexpected, match="Before it starts again"):
        capture.discard(plan)
    for disk in plan.disks:  # as the error says
        subprocess.run(["qemu-img", "commit", "-q", "-f", "qcow2", disk.overlay], check=True)
    capture.discard(plan)
    assert overlays_in(vm.directory) == []
    for target in vm.disks:
        assert read_disk(*vm.top(target)) == vm.content[target]


def test_nobody_is_told_to_merge_a_lost_overlay_without_which_the_vm_went_on(
    hypervisor: Hypervisor, capture: OverlayCapture, machines: BareMaker
) -> None:
    vm, plan = lost(hypervisor, machines)
    vm.domain.destroy()
    vm.domain.create()
    for _state in ("running", "stopped"):
        with pytest.raises(ChainUnexpected, match="would destroy") as refused:
            capture.discard(plan)
        assert "qemu-img commit" not in str(refused.value)
        assert Path(plan.disks[0].overlay).exists()
        if vm.domain.isActive():
            vm.write("vdb", 3 * MIB, 64 * 1024, 0x77)
            vm.domain.destroy()


def test_a_file_in_the_overlays_place_is_not_touched(
    hypervisor: Hypervisor, capture: OverlayCapture, machines: BareMaker
) -> None:
    vm = machines.make(("qcow2", "raw"))
    plan = plan_for(hypervisor, vm)
    Path(plan.disks[1].overlay).write_text("somebody's")
    with pytest.raises(SnapshotFailed, match="not touched"):
        capture.prepare(plan, minimum_free=0)
    assert Path(plan.disks[1].overlay).read_text() == "somebody's"
    assert not Path(plan.disks[0].overlay).exists()


def test_too_little_space_is_refused_before_anything_happens(
    hypervisor: Hypervisor, capture: OverlayCapture, machines: BareMaker
) -> None:
    vm = machines.make()
    with pytest.raises(OverlaySpaceLow):
        capture.prepare(plan_for(hypervisor, vm), minimum_free=1 << 60)
    assert overlays_in(vm.directory) == []


def test_a_file_system_without_inodes_counts_as_full(
    hypervisor: Hypervisor, capture: OverlayCapture, machines: BareMaker
) -> None:
    vm = machines.make(running=False)
    with small_file_system(vm.directory / "overlays", kib=300) as elsewhere:
        subprocess.run(["mount", "-o", "remount,nr_inodes=1", elsewhere], check=True)
        with pytest.raises(OverlaySpaceLow, match="inodes"):
            capture.prepare(plan_for(hypervisor, vm, elsewhere), minimum_free=0)


def test_a_read_only_file_system_is_told_as_such(
    hypervisor: Hypervisor, capture: OverlayCapture, machines: BareMaker
) -> None:
    """It refuses to remove even what is not there."""
    vm = machines.make(running=False)
    with small_file_system(vm.directory / "overlays", kib=300) as elsewhere:
        subprocess.run(["mount", "-o", "remount,ro", elsewhere], check=True)
        plan = plan_for(hypervisor, vm, elsewhere)
        with pytest.raises(SnapshotFailed, match="Read-only"):
            capture.prepare(plan, minimum_free=0)
        capture.discard(plan)


def test_a_plan_made_for_another_chain_is_refused(
    hypervisor: Hypervisor, capture: OverlayCapture, machines: BareMaker
) -> None:
    vm = machines.make()
    stale = plan_for(hypervisor, vm)
    captured(hypervisor, vm)
    with pytest.raises(ChainUnexpected, match="changed"):
        capture.prepare(stale, minimum_free=0)


def test_a_definition_changed_for_the_next_start_is_refused(
    hypervisor: Hypervisor, capture: OverlayCapture, machines: BareMaker
) -> None:
    """libvirt would leave the next start on the old image, and all that the overlay holds would be lost."""
    vm = machines.make()
    other = vm.directory / "other.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", other, "16M"], check=True)
    persistent = vm.domain.XMLDesc(2)
    vm.domain.connect().defineXML(persistent.replace(str(vm.disks["vda"][0]), str(other)))
    with pytest.raises(ChainUnexpected, match="persistent"):
        capture.prepare(plan_for(hypervisor, vm), minimum_free=0)


def test_a_running_block_job_is_refused(
    hypervisor: Hypervisor, capture: OverlayCapture, machines: BareMaker
) -> None:
    vm = machines.make()
    captured(hypervisor, vm)
    plan = plan_for(hypervisor, vm)
    vm.domain.blockCommit("vda", None, None, 0, 4)
    with pytest.raises(VmNotInDesirableState, match="block job"):
        capture.prepare(plan, minimum_free=0)


def test_other_disks_are_left_alone_and_overlays_can_lie_elsewhere(
    hypervisor: Hypervisor, capture: OverlayCapture, machines: BareMaker
) -> None:
    extra = (
        "<disk type='file' device='cdrom'><target dev='hda' bus='ide'/></disk>"
        "<disk type='file' device='floppy'><target dev='fda' bus='fdc'/></disk>"
    )
    vm = machines.make(("raw",), extra=extra)
    elsewhere = vm.directory / "overlays"
    elsewhere.mkdir()
    plan = plan_for(hypervisor, vm, elsewhere)
    assert set(plan.excluded) == {"hda", "fda"}
    capture.prepare(plan, minimum_free=0)
    capture.take(plan)
    assert overlays_in(vm.directory) == []
    assert overlays_in(elsewhere) == [Path(plan.disks[0].overlay).name]


def test_an_unknown_vm_is_not_found(hypervisor: Hypervisor, capture: OverlayCapture) -> None:
    with pytest.raises(NotFound):
        capture.take(CapturePlan(uuid4(), uuid4(), (), ()))
