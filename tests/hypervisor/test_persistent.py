"""A persistent definition that fell behind the images in use is found and corrected; no other one is."""

from pathlib import Path
from uuid import uuid4

import libvirt
import pytest

from overwinter.hypervisor.connection import Hypervisor
from overwinter.hypervisor.inventory import machine
from overwinter.hypervisor.overlay_capture import OverlayCapture
from overwinter.hypervisor.persistent import adopt_running_image, outdated_disks
from tests.hypervisor.conftest import BareMachine, BareMaker, read_disk

pytestmark = pytest.mark.libvirt


@pytest.fixture
def vm(hypervisor: Hypervisor, machines: BareMaker) -> BareMachine:
    """It runs on an overlay of each of its two disks."""
    made = machines.make(("qcow2", "raw"))
    capture = OverlayCapture(hypervisor)
    plan = capture.plan(machine(hypervisor, made.uuid), uuid4(), None)
    capture.prepare(plan, minimum_free=0)
    capture.take(plan)
    return made


def name(vm: BareMachine, target: str, image: Path | str, form: str) -> None:
    """Define the VM anew, with another image for a disk."""
    xml = vm.domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    before, disk, after = xml.partition(f"<source file='{vm.top(target)[0]}'")
    assert disk
    head, driver, tail = before.rpartition("type='qcow2'")
    assert driver
    vm.domain.connect().defineXML(f"{head}type='{form}'{tail}<source file='{image}'{after}")


def test_nothing_is_outdated_after_a_snapshot(hypervisor: Hypervisor, vm: BareMachine) -> None:
    assert outdated_disks(hypervisor, vm.uuid) == {}


def test_an_image_below_the_overlays_is_replaced(hypervisor: Hypervisor, vm: BareMachine) -> None:
    original, form = vm.disks["vdb"]
    name(vm, "vdb", original, form)
    assert outdated_disks(hypervisor, vm.uuid) == {"vdb": str(original)}
    vm.write("vdb", 0, 4096, 0x77)
    adopt_running_image(hypervisor, vm.uuid, "vdb", str(original))
    assert outdated_disks(hypervisor, vm.uuid) == {}
    vm.domain.destroy()
    vm.domain.create()
    assert read_disk(*vm.top("vdb")) == vm.content["vdb"], "it starts with what was written last"


def test_an_image_outside_the_chain_is_a_persons_choice(hypervisor: Hypervisor, vm: BareMachine) -> None:
    name(vm, "vda", "/elsewhere/other.qcow2", "qcow2")
    assert outdated_disks(hypervisor, vm.uuid) == {}


def test_a_vm_that_is_off_has_one_definition_only(hypervisor: Hypervisor, vm: BareMachine) -> None:
    original, form = vm.disks["vda"]
    vm.domain.destroy()
    name(vm, "vda", original, form)
    assert outdated_disks(hypervisor, vm.uuid) == {}
