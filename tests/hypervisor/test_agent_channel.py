"""The agent's channel is given to VMs that have none, running or off, for now and for their next starts."""

import libvirt
import pytest

from overwinter.hypervisor import agent_channel, domain_xml
from overwinter.hypervisor.connection import Hypervisor
from overwinter.hypervisor.inventory import machine
from overwinter.model.errors import HypervisorError
from testkit.waiting import wait_until
from tests.hypervisor.conftest import BareMaker

pytestmark = pytest.mark.libvirt


CONTROLLER = "<controller type='virtio-serial' index='0'/>"


@pytest.mark.parametrize("running", [True, False], ids=["running", "off"])
def test_a_channel_is_added(hypervisor: Hypervisor, machines: BareMaker, running: bool) -> None:
    vm = machines.make(running=running, extra=CONTROLLER if running else "")
    assert agent_channel.can_be_added(hypervisor, vm.uuid)
    agent_channel.add(hypervisor, vm.uuid)
    assert machine(hypervisor, vm.uuid).agent_channel
    assert not agent_channel.can_be_added(hypervisor, vm.uuid)
    for flags in (0, libvirt.VIR_DOMAIN_XML_INACTIVE):
        assert vm.domain.XMLDesc(flags).count("name='org.qemu.guest_agent.0'") == 1
    # There is no guest that could open it.
    assert not agent_channel.wait_connected(hypervisor, vm.uuid, patience_s=0)


def test_a_running_vm_without_a_controller_must_be_shut_down_first(
    hypervisor: Hypervisor, machines: BareMaker
) -> None:
    vm = machines.make()
    assert not agent_channel.can_be_added(hypervisor, vm.uuid)
    with pytest.raises(HypervisorError):
        agent_channel.add(hypervisor, vm.uuid)


def test_a_channel_is_pulled_and_plugged_in_again_as_it_was(
    hypervisor: Hypervisor, machines: BareMaker
) -> None:
    vm = machines.make(running=True, extra=CONTROLLER)
    agent_channel.add(hypervisor, vm.uuid)
    definitions = [vm.domain.XMLDesc(flags) for flags in (0, libvirt.VIR_DOMAIN_XML_INACTIVE)]
    agent_channel.replug(hypervisor, vm.uuid)
    assert [vm.domain.XMLDesc(flags) for flags in (0, libvirt.VIR_DOMAIN_XML_INACTIVE)] == definitions


def test_a_channel_that_was_pulled_only_is_added_to_the_running_vm_alone(
    hypervisor: Hypervisor, machines: BareMaker
) -> None:
    """As after a crash between the two; the definition has it still."""
    vm = machines.make(running=True, extra=CONTROLLER)
    agent_channel.add(hypervisor, vm.uuid)
    channel = agent_channel._channel(vm.domain.XMLDesc())
    assert channel is not None
    vm.domain.detachDeviceFlags(domain_xml.text(channel), libvirt.VIR_DOMAIN_AFFECT_LIVE)
    wait_until(lambda: agent_channel.can_be_added(hypervisor, vm.uuid), "the channel is still there")
    with pytest.raises(HypervisorError):
        agent_channel.replug(hypervisor, vm.uuid)
    agent_channel.add(hypervisor, vm.uuid)
    for flags in (0, libvirt.VIR_DOMAIN_XML_INACTIVE):
        assert vm.domain.XMLDesc(flags).count("name='org.qemu.guest_agent.0'") == 1
