"""Merging and flattening on real libvirt: every byte kept, every file where it belongs, and interruption."""

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from uuid import uuid4

import pytest

from overwinter.hypervisor.connection import Hypervisor
from overwinter.hypervisor.inventory import machine
from overwinter.hypervisor.limits import MergeLimits
from overwinter.hypervisor.merge import flatten, merge_lowest
from overwinter.hypervisor.overlay_capture import OverlayCapture
from overwinter.model.errors import BlockJobFailed, ChainUnexpected, JobCancelled
from overwinter.model.names import is_overlay
from testkit.waiting import wait_until
from tests.hypervisor.conftest import (
    MIB,
    BareMachine,
    BareMaker,
    loop_device,
    moved,
    read_disk,
    small_file_system,
)

pytestmark = pytest.mark.libvirt

LIMITS = MergeLimits(timeout_s=60)
#: What mixed disks show, single ones show too.
FORMATS = [
    pytest.param(("qcow2",), marks=pytest.mark.long),
    pytest.param(("raw",), marks=pytest.mark.long),
    ("qcow2", "raw", "qcow2"),
]
RUNNING = pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])


def point(hypervisor: Hypervisor, vm: BareMachine, directory: Path | None = None) -> dict[str, str]:
    """Take a snapshot; the overlay of each disk."""
    capture = OverlayCapture(hypervisor)
    plan = capture.plan(machine(hypervisor, vm.uuid), uuid4(), directory)
    capture.prepare(plan, minimum_free=0)
    capture.take(plan)
    return {disk.target: disk.overlay for disk in plan.disks}


def points(hypervisor: Hypervisor, vm: BareMachine, count: int, pieces: int = 1) -> list[dict[str, str]]:
    """Take snapshots, with other data written after each.

    In pieces that do not touch: QEMU copies what hangs together in one go and only then minds the bandwidth.
    """
    taken = []
    for step in range(count):
        taken.append(point(hypervisor, vm))
        for target in vm.disks:
            start = (step % 3) * 2 * MIB + step * 32 * 1024
            for piece in range(pieces):
                vm.write(target, start + piece * 192 * 1024, 96 * 1024, 0x40 + step)
    return taken


def chain(hypervisor: Hypervisor, vm: BareMachine, target: str = "vda") -> list[str]:
    disk = next(disk for disk in machine(hypervisor, vm.uuid).disks if disk.target == target)
    return [layer.path for layer in disk.chain]


def original(vm: BareMachine, target: str = "vda") -> str:
    return str(vm.disks[target][0])


def overlays_left(vm: BareMachine) -> list[str]:
    return [path.name for path in vm.directory.iterdir() if is_overlay(path.name)]


def survives_a_restart(vm: BareMachine) -> None:
    if vm.domain.isActive():
        vm.domain.destroy()
    vm.domain.create()
    for target in vm.disks:
        assert read_disk(*vm.top(target)) == vm.content[target]


@RUNNING
@pytest.mark.parametrize("formats", FORMATS, ids="+".join)
def test_points_are_merged_one_by_one_and_the_vm_ends_as_it_was(
    hypervisor: Hypervisor, machines: BareMaker, formats: tuple[str, ...], running: bool
) -> None:
    vm = machines.make(formats, running=running)
    before = vm.domain.XMLDesc(2)
    taken = points(hypervisor, vm, 3)
    for number, overlays in enumerate(taken):
        for target in vm.disks:
            merge_lowest(hypervisor, vm.uuid, target, overlays[target], LIMITS)
            merge_lowest(hypervisor, vm.uuid, target, overlays[target], LIMITS)  # done already
            left = [later[target] for later in reversed(taken[number + 1 :])]
            assert chain(hypervisor, vm, target) == [*left, original(vm, target)]
            assert not Path(overlays[target]).exists()
            vm.write(target, 9 * MIB + number * 65536, 4096, 0x60 + number)
            assert read_disk(*vm.top(target)) == vm.content[target]
    assert vm.domain.XMLDesc(2) == before
    assert overlays_left(vm) == []
    survives_a_restart(vm)


@RUNNING
@pytest.mark.parametrize("formats", FORMATS, ids="+".join)
def test_flatten_leaves_the_vm_as_it_was_found(
    hypervisor: Hypervisor, machines: BareMaker, formats: tuple[str, ...], running: bool
) -> None:
    vm = machines.make(formats, running=running)
    before = vm.domain.XMLDesc(2)
    taken = points(hypervisor, vm, 3)
    for target in vm.disks:
        for _twice in range(2):
            flatten(hypervisor, vm.uuid, target, original(vm, target), [o[target] for o in taken], LIMITS)
        assert read_disk(*vm.disks[target]) == vm.content[target]
    assert vm.domain.XMLDesc(2) == before
    assert overlays_left(vm) == []
    survives_a_restart(vm)


def test_overlays_that_only_the_catalog_knows_are_removed(
    hypervisor: Hypervisor, machines: BareMaker
) -> None:
    vm = machines.make()
    (overlay,) = (o["vda"] for o in points(hypervisor, vm, 1))
    # A run before us was killed between the pivot and the removal.
    vm.domain.blockCommit("vda", None, None, 0, 4)
    wait_until(lambda: "ready='yes'" in vm.domain.XMLDesc(), "the commit is not ready")
    vm.domain.blockJobAbort("vda", 2)
    assert Path(overlay).exists()
    flatten(hypervisor, vm.uuid, "vda", original(vm), [overlay], LIMITS)
    assert overlays_left(vm) == []
    assert "<backingStore/>" not in vm.domain.XMLDesc(2)
    survives_a_restart(vm)


@RUNNING
def test_a_template_below_the_original_is_never_written(
    hypervisor: Hypervisor, machines: BareMaker, running: bool
) -> None:
    vm = machines.make(running=False)
    own = vm.directory / "own.qcow2"
    template = vm.disks["vda"][0]
    subprocess.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-b", template, "-F", "qcow2", own], check=True
    )
    vm.domain.connect().defineXML(vm.domain.XMLDesc(2).replace(str(template), str(own)))
    as_it_was = template.read_bytes()
    if running:
        vm.domain.create()
    taken = points(hypervisor, vm, 2)
    assert Path(taken[0]["vda"]).parent == vm.directory
    assert Path(taken[0]["vda"]).name.startswith("own.qcow2")
    merge_lowest(hypervisor, vm.uuid, "vda", taken[0]["vda"], LIMITS)
    assert chain(hypervisor, vm) == [taken[1]["vda"], str(own), str(template)]
    flatten(hypervisor, vm.uuid, "vda", str(own), [], LIMITS)
    assert chain(hypervisor, vm) == [str(own), str(template)]
    assert template.read_bytes() == as_it_was
    survives_a_restart(vm)


@RUNNING
def test_only_the_lowest_overlay_is_merged_and_foreign_snapshots_stay(
    hypervisor: Hypervisor, machines: BareMaker, running: bool
) -> None:
    vm = machines.make(running=running)
    taken = points(hypervisor, vm, 2)
    with pytest.raises(ChainUnexpected, match="lowest"):
        merge_lowest(hypervisor, vm.uuid, "vda", taken[1]["vda"], LIMITS)
    foreign = vm.directory / "mine.qcow2"
    vm.domain.snapshotCreateXML(
        "<domainsnapshot><disks><disk name='vda' snapshot='external'>"
        f"<source file='{foreign}'/></disk></disks></domainsnapshot>",
        0x10 | 0x80 | 0x04,
    )
    vm.write("vda", 5 * MIB, 4096, 0x99)
    with pytest.raises(ChainUnexpected, match="not ours"):
        flatten(hypervisor, vm.uuid, "vda", original(vm), [], LIMITS)
    with pytest.raises(ChainUnexpected, match="any more"):
        flatten(hypervisor, vm.uuid, "vda", "/elsewhere.qcow2", [], LIMITS)
    merge_lowest(hypervisor, vm.uuid, "vda", taken[0]["vda"], LIMITS)
    assert chain(hypervisor, vm) == [str(foreign), taken[1]["vda"], original(vm)]
    survives_a_restart(vm)


@pytest.mark.parametrize("count", [1, 2], ids=["active layer", "middle layer"])
def test_a_merge_that_takes_too_long_or_is_cancelled_leaves_a_valid_chain(
    hypervisor: Hypervisor, machines: BareMaker, count: int
) -> None:
    vm = machines.make()
    taken = points(hypervisor, vm, count, pieces=48)
    before = chain(hypervisor, vm)
    progress: list[tuple[int, int]] = []
    slow = MergeLimits(
        timeout_s=1, bandwidth=MIB // 8, progress=lambda done, total: progress.append((done, total))
    )
    with pytest.raises(BlockJobFailed, match="did not end within 1 s"):
        merge_lowest(hypervisor, vm.uuid, "vda", taken[0]["vda"], slow)
    assert progress
    asked = iter([False, False, True])
    with pytest.raises(JobCancelled):
        cancel = MergeLimits(timeout_s=60, bandwidth=MIB // 8, cancelled=lambda: next(asked))
        merge_lowest(hypervisor, vm.uuid, "vda", taken[0]["vda"], cancel)
    assert chain(hypervisor, vm) == before
    assert vm.domain.blockJobInfo("vda") == {}
    vm.write("vda", 12 * MIB, 4096, 0x33)
    assert read_disk(*vm.top("vda")) == vm.content["vda"]
    merge_lowest(hypervisor, vm.uuid, "vda", taken[0]["vda"], LIMITS)
    survives_a_restart(vm)


def test_an_original_without_space_fails_the_merge_and_nothing_else(
    hypervisor: Hypervisor, machines: BareMaker
) -> None:
    vm = machines.make(("raw",), running=False)
    with small_file_system(vm.directory / "small", kib=2048) as small:
        full = moved(vm, small)
        vm.domain.create()
        overlay = point(hypervisor, vm, vm.directory)["vda"]
        vm.write("vda", 4 * MIB, 6 * MIB, 0x55)
        with pytest.raises(BlockJobFailed):
            merge_lowest(hypervisor, vm.uuid, "vda", overlay, LIMITS)
        assert chain(hypervisor, vm) == [overlay, full]
        vm.write("vda", 12 * MIB, 4096, 0x44)
        assert read_disk(*vm.top("vda")) == vm.content["vda"]
        vm.domain.destroy()


KILLED = """
import sys
from uuid import UUID
from overwinter.hypervisor.connection import Hypervisor
from overwinter.hypervisor.limits import MergeLimits
from overwinter.hypervisor.merge import flatten, merge_lowest
what, uuid, original, overlay, bandwidth = sys.argv[1:]
told = lambda done, total: print("working", flush=True)
limits = MergeLimits(timeout_s=60, bandwidth=int(bandwidth), progress=told)
if what == "flatten":
    flatten(Hypervisor(), UUID(uuid), "vda", original, [], limits)
else:
    merge_lowest(Hypervisor(), UUID(uuid), "vda", overlay, limits)
"""


@pytest.mark.parametrize(
    "what",
    [
        "merge the active layer",
        pytest.param("merge a middle layer", marks=pytest.mark.long),
        pytest.param("flatten", marks=pytest.mark.long),
    ],
)
def test_a_killed_process_is_followed_by_one_that_adopts_its_job(
    hypervisor: Hypervisor, machines: BareMaker, what: str
) -> None:
    vm = machines.make(("raw",))
    taken = points(hypervisor, vm, 1 if what == "merge the active layer" else 2, pieces=48)
    arguments = [what, str(vm.uuid), original(vm), taken[0]["vda"], str(2 * MIB)]
    with subprocess.Popen([sys.executable, "-c", KILLED, *arguments], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"working\n"
        os.kill(process.pid, signal.SIGKILL)
    assert vm.domain.blockJobInfo("vda")
    vm.write("vda", 12 * MIB, 4096, 0x33)
    if what == "flatten":
        flatten(hypervisor, vm.uuid, "vda", original(vm), [o["vda"] for o in taken], LIMITS)
    else:
        merge_lowest(hypervisor, vm.uuid, "vda", taken[0]["vda"], LIMITS)
    assert not Path(taken[0]["vda"]).exists()
    assert len(overlays_left(vm)) == (1 if what == "merge a middle layer" else 0)
    assert read_disk(*vm.top("vda")) == vm.content["vda"]
    survives_a_restart(vm)


@pytest.mark.parametrize("count", [1, 2], ids=["active layer", "middle layer"])
def test_a_vm_that_stops_in_the_middle_is_merged_offline(
    hypervisor: Hypervisor, machines: BareMaker, count: int
) -> None:
    vm = machines.make()
    taken = points(hypervisor, vm, count, pieces=48)
    stopping = threading.Event()

    def stop(_done: int, _total: int) -> None:
        if not stopping.is_set():
            stopping.set()
            vm.domain.destroy()

    merge_lowest(
        hypervisor, vm.uuid, "vda", taken[0]["vda"], MergeLimits(timeout_s=60, bandwidth=MIB, progress=stop)
    )
    assert stopping.is_set()
    assert not vm.domain.isActive()
    assert chain(hypervisor, vm) == [*(o["vda"] for o in taken[1:]), original(vm)]
    assert not Path(taken[0]["vda"]).exists()
    survives_a_restart(vm)


@RUNNING
def test_a_block_device_goes_on_in_a_file_and_comes_back(
    hypervisor: Hypervisor, machines: BareMaker, running: bool
) -> None:
    vm = machines.make(("raw",), running=False)
    with loop_device(vm) as device:
        before = vm.domain.XMLDesc(2)
        with pytest.raises(ChainUnexpected, match="block device"):
            point(hypervisor, vm)
        if running:
            vm.domain.create()
        taken = []
        for step in range(3):
            taken.append(point(hypervisor, vm, vm.directory)["vda"])
            vm.write("vda", step * MIB, 65536, 0x50 + step)
        merge_lowest(hypervisor, vm.uuid, "vda", taken[0], LIMITS)
        assert chain(hypervisor, vm) == [taken[2], taken[1], device]
        flatten(hypervisor, vm.uuid, "vda", device, taken, LIMITS)
        assert vm.domain.XMLDesc(2) == before
        assert overlays_left(vm) == []
        survives_a_restart(vm)


def test_a_foreign_job_is_left_alone(hypervisor: Hypervisor, machines: BareMaker) -> None:
    vm = machines.make()
    taken = points(hypervisor, vm, 1)
    copy = vm.directory / "copy.qcow2"
    vm.domain.blockCopy(
        "vda", f"<disk type='file'><source file='{copy}'/><driver type='qcow2'/></disk>", {}, 4
    )
    with pytest.raises(BlockJobFailed, match="another block job"):
        merge_lowest(hypervisor, vm.uuid, "vda", taken[0]["vda"], LIMITS)
    assert re.search(r"<mirror[^>]*job='copy'", vm.domain.XMLDesc())
