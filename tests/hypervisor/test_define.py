"""A whole captured VM comes back as another one; and what may never be overwritten is not."""

import os
import random
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import libvirt
import pytest

from overwinter.hypervisor.agent import agent_command
from overwinter.hypervisor.connection import Hypervisor
from overwinter.hypervisor.define import define, destroy, shutdown, start, undefine
from overwinter.hypervisor.inventory import machine
from overwinter.hypervisor.restore_xml import rewrite_for_restore
from overwinter.hypervisor.state import read_state
from overwinter.model.errors import AlreadyExists, HypervisorError, NotFound
from overwinter.model.vm import Firmware, ImageLayer, PowerState
from testkit.disks import DiskSpec, convert
from testkit.domains import GuestMaker, TinyGuest
from testkit.ground import Ground
from testkit.waiting import wait_until
from tests.hypervisor.conftest import BareMaker

pytestmark = pytest.mark.libvirt


@pytest.fixture(scope="module")
def guest(guests: GuestMaker) -> Iterator[TinyGuest]:
    made = guests.make("defined", [DiskSpec("qcow2", 32 << 20), DiskSpec("raw", 32 << 20)], network=True)
    yield made
    guests.remove(made)


def test_a_copy_runs_beside_its_original(
    hypervisor: Hypervisor, ground: Ground, guests: GuestMaker, guest: TinyGuest, image_directory: Path
) -> None:
    guest.agent.check("sync")
    state = read_state(hypervisor, UUID(guest.domain.UUIDString()))
    assert state.nvram is None
    disks = {}
    for target, form in (("vda", "raw"), ("vdb", "qcow2")):  # formats exchanged
        path = image_directory / f"{target}.{form}"
        convert(guest.disks[target], "qcow2" if form == "raw" else "raw", path, form)
        disks[target] = ImageLayer(str(path), form)
    uuid, name = uuid4(), ground.run.domain_name("copy")
    xml = rewrite_for_restore(state.xml, name, uuid, disks, None, random.Random(5).randbytes)
    assert define(hypervisor, xml) == uuid
    with pytest.raises(AlreadyExists, match="named"):
        define(hypervisor, xml.replace(str(uuid), str(uuid4())))
    with pytest.raises(AlreadyExists, match="UUID"):
        define(hypervisor, xml.replace(name, f"{name}-2"))
    start(hypervisor, uuid)
    start(hypervisor, uuid)
    copy = guests.find(name)
    copy.wait_ready()
    seen = machine(hypervisor, uuid)
    assert [disk.chain for disk in seen.disks] == [(disks["vda"],), (disks["vdb"],)]
    assert seen.agent_connected
    assert agent_command(hypervisor, uuid, {"execute": "guest-ping"}, 5) == {}
    assert guest.agent.answers
    shutdown(hypervisor, uuid)
    wait_until(
        lambda: machine(hypervisor, uuid).state is PowerState.STOPPED, "the copy does not shut down", 60
    )
    shutdown(hypervisor, uuid)
    destroy(hypervisor, uuid)
    undefine(hypervisor, uuid)
    with pytest.raises(NotFound):
        machine(hypervisor, uuid)


def test_a_definition_without_identity_is_refused(hypervisor: Hypervisor) -> None:
    with pytest.raises(HypervisorError, match="UUID of its own"):
        define(hypervisor, "<domain type='qemu'><name>nameless</name></domain>")
    with pytest.raises(HypervisorError, match="no XML"):
        define(hypervisor, "not a definition")


def test_secrets_are_part_of_the_state_and_hot_plugged_disks_too(
    hypervisor: Hypervisor, machines: BareMaker
) -> None:
    vm = machines.make(extra="<graphics type='vnc' passwd='s3cret'/>")
    assert "passwd='s3cret'" in read_state(hypervisor, vm.uuid).xml
    plugged = vm.directory / "plugged.raw"
    plugged.write_bytes(bytes(1 << 20))
    vm.domain.attachDeviceFlags(
        f"<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{plugged}'/>"
        "<target dev='vdz' bus='virtio'/></disk>",
        libvirt.VIR_DOMAIN_AFFECT_LIVE,
    )
    xml = read_state(hypervisor, vm.uuid).xml
    assert str(plugged) in xml
    disks = {target: ImageLayer(f"/r/{target}", "raw") for target in ("vda", "vdz")}
    rewrite_for_restore(xml, "n", uuid4(), disks, None, os.urandom)


def test_firmware_variables_come_back(
    hypervisor: Hypervisor, ground: Ground, machines: BareMaker, image_directory: Path
) -> None:
    vm = machines.make(running=False, uefi=True)
    assert machine(hypervisor, vm.uuid).firmware is Firmware.UEFI
    assert read_state(hypervisor, vm.uuid).nvram is None
    vm.domain.create()
    state = read_state(hypervisor, vm.uuid)
    vm.domain.destroy()
    assert state.nvram is not None
    assert len(state.nvram) > 64 * 1024
    marked = state.nvram[:-4] + b"mark"
    store = image_directory / "vars.fd"
    store.write_bytes(marked)
    uuid = uuid4()
    disks = {"vda": ImageLayer(str(vm.disks["vda"][0]), "qcow2")}
    name = ground.run.domain_name("efi-copy")
    define(hypervisor, rewrite_for_restore(state.xml, name, uuid, disks, str(store), os.urandom))
    assert read_state(hypervisor, uuid).nvram == marked
    start(hypervisor, uuid)
    destroy(hypervisor, uuid)
    undefine(hypervisor, uuid)
    assert not store.exists()
