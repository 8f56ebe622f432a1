"""What the inventory says of real domains: states, chains, sizes, and disks that cannot be covered."""

import threading
from uuid import uuid4

import pytest

from overwinter.hypervisor.connection import Hypervisor
from overwinter.hypervisor.inventory import machine, power_state
from overwinter.hypervisor.inventory import machines as list_machines
from overwinter.model.errors import HypervisorUnavailable, NotFound
from overwinter.model.vm import DiskFormat, Firmware, ImageLayer, PowerState
from tests.hypervisor.conftest import SIZE, BareMaker, loop_device

pytestmark = pytest.mark.libvirt


@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
def test_a_machine_with_two_disks(hypervisor: Hypervisor, machines: BareMaker, running: bool) -> None:
    vm = machines.make(("qcow2", "raw"), running=running)
    seen = machine(hypervisor, vm.domain.name())
    assert seen == machine(hypervisor, vm.uuid) == machine(hypervisor, str(vm.uuid))
    assert seen in list_machines(hypervisor)
    assert (seen.uuid, seen.name, seen.persistent) == (vm.uuid, vm.domain.name(), True)
    assert seen.state is (PowerState.RUNNING if running else PowerState.STOPPED)
    assert (seen.vcpus, seen.memory_bytes, seen.firmware) == (1, 32 << 20, Firmware.BIOS)
    assert [(disk.target, disk.lun, disk.size) for disk in seen.disks] == [
        ("vda", -1, SIZE),
        ("vdb", 0, SIZE),
    ]
    assert [disk.chain for disk in seen.disks] == [
        (ImageLayer(str(path), form),) for path, form in vm.disks.values()
    ]
    assert not seen.agent_channel


def test_states(hypervisor: Hypervisor, machines: BareMaker) -> None:
    vm = machines.make()
    vm.domain.suspend()
    assert machine(hypervisor, vm.uuid).state is power_state(hypervisor, vm.uuid) is PowerState.PAUSED
    vm.domain.destroy()
    assert machine(hypervisor, vm.uuid).state is PowerState.STOPPED
    with pytest.raises(NotFound):
        machine(hypervisor, uuid4())
    with pytest.raises(NotFound):
        machine(hypervisor, "no such name")


def test_disks_that_cannot_be_covered_are_named_with_the_reason(
    hypervisor: Hypervisor, machines: BareMaker
) -> None:
    vm = machines.make(running=False)
    other = vm.directory / "other.raw"
    other.write_bytes(bytes(1 << 20))
    disk = "<disk type='file' device='{0}'>{1}<source file='{2}'/><target dev='{3}' bus='{4}'/>{5}</disk>"
    raw = "<driver name='qemu' type='raw'/>"
    extra = [
        disk.format("disk", raw, other, "vdb", "virtio", "<readonly/>"),
        disk.format(
            "disk", "<driver name='qemu' type='raw' cache='none'/>", other, "vdc", "virtio", "<shareable/>"
        ),
        disk.format("disk", raw, other, "vdd", "virtio", "<transient/>"),
        disk.format("disk", "<driver name='qemu' type='vmdk'/>", other, "vde", "virtio", ""),
        disk.format("disk", raw, "/nowhere/at/all.raw", "vdf", "virtio", ""),
        disk.format("disk", raw, other, "vdg", "virtio", ""),
        "<disk type='network' device='disk'><driver name='qemu' type='raw'/>"
        "<source protocol='nbd' name='x'><host name='localhost' port='1'/></source>"
        "<target dev='vdh' bus='virtio'/></disk>",
        "<disk type='file' device='cdrom'><target dev='hda' bus='ide'/></disk>",
        "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>",
    ]
    xml = vm.domain.XMLDesc(2).replace("<memballoon", "".join(extra) + "<memballoon")
    vm.domain.connect().defineXML(xml)
    seen = machine(hypervisor, vm.uuid)
    assert [(found.target, found.lun) for found in seen.disks] == [("vda", -1), ("vdg", 5)]
    assert sorted(dict(seen.skipped_disks)) == ["hda", "vdb"]
    (unreadable,) = seen.unreadable_disks
    assert unreadable.target == "vdf"
    reasons = dict((*seen.skipped_disks, *seen.uncovered_disks, (unreadable.target, unreadable.reason)))
    for target, word in {
        "vdb": "read-only", "vdc": "shared", "vdd": "transient", "vde": "vmdk", "vdf": "nowhere",
        "vdh": "network", "hda": "removable",
    }.items():  # fmt: skip
        assert word in reasons[target]
    assert seen.agent_channel
    assert not seen.agent_connected


def test_a_block_device_is_a_disk_like_any_other(hypervisor: Hypervisor, machines: BareMaker) -> None:
    vm = machines.make(("raw",), running=False)
    with loop_device(vm) as device:
        seen = machine(hypervisor, vm.uuid)
        assert [disk.chain for disk in seen.disks] == [(ImageLayer(device, DiskFormat.RAW),)]
        assert seen.disks[0].size == SIZE


def test_a_lost_connection_is_opened_again(machines: BareMaker) -> None:
    vm = machines.make(running=False)
    opened = Hypervisor()
    with opened.session() as connection:
        connection.close()
    assert machine(opened, vm.uuid).name == vm.domain.name()
    opened.close()
    assert machine(opened, vm.uuid).name == vm.domain.name()
    opened.close()


def test_one_connection_serves_many_threads(hypervisor: Hypervisor, machines: BareMaker) -> None:
    vm = machines.make(("qcow2", "raw"))
    results: list[object] = []
    workers = [
        threading.Thread(target=lambda: results.append(machine(hypervisor, vm.uuid))) for _ in range(16)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert results == [machine(hypervisor, vm.uuid)] * 16


def test_no_libvirt_is_said_plainly_and_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(HypervisorUnavailable, match="cannot be reached"):
        list_machines(Hypervisor("qemu+unix:///system?socket=/nowhere/libvirt-sock"))
    assert capfd.readouterr().err == ""
