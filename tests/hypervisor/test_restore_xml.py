"""A restored VM can run beside its original: the rules on a definition with everything in it."""

import random
import re
from uuid import UUID
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overwinter.hypervisor.restore_xml import rewrite_for_restore
from overwinter.model.errors import ChainUnexpected
from overwinter.model.vm import ImageLayer

NEW = UUID("11111111-2222-4333-8444-555555555555")
DISKS = {"vda": ImageLayer("/r/one & two.qcow2", "qcow2"), "sdb": ImageLayer("/r/b.raw", "raw")}

#: As libvirt describes a running VM that has used everything it may have.
RICH = """
<domain type='kvm' id='7' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>shop</name>
  <uuid>aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee</uuid>
  <genid>99999999-9999-4999-8999-999999999999</genid>
  <metadata>
    <libosinfo:libosinfo xmlns:libosinfo="http://libosinfo.org/xmlns/libvirt/domain/1.0">
      <libosinfo:os id="http://debian.org/debian/12"/>
    </libosinfo:libosinfo>
    <ow:item xmlns:ow="urn:overwinter:domain:1">protected</ow:item>
  </metadata>
  <memory unit='KiB'>2097152</memory>
  <sysinfo type='smbios'>
    <system>
      <entry name='manufacturer'>Us</entry>
      <entry name='uuid'>aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee</entry>
    </system>
  </sysinfo>
  <os firmware='efi'>
    <type arch='x86_64' machine='pc-q35-7.2'>hvm</type>
    <loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE_4M.fd</loader>
    <nvram template='/usr/share/OVMF/OVMF_VARS_4M.fd'>/var/lib/libvirt/qemu/nvram/shop_VARS.fd</nvram>
  </os>
  <devices>
    <disk type='block' device='disk' snapshot='external'>
      <driver name='qemu' type='qcow2' cache='none' discard='unmap'/>
      <source file='/p/a.raw.overwinter-1' index='3'><seclabel model='dac' relabel='no'/></source>
      <backingStore type='block' index='1'>
        <format type='raw'/><source dev='/dev/vg/a'/><backingStore/>
      </backingStore>
      <mirror type='block' job='active-commit' ready='yes'><source dev='/dev/vg/a'/></mirror>
      <target dev='vda' bus='virtio'/>
      <serial>WD-1</serial>
      <boot order='1'/>
      <alias name='virtio-disk0'/>
    </disk>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/><source file='/p/b.qcow2'/><target dev='sdb' bus='scsi'/>
    </disk>
    <disk type='network' device='disk'>
      <source protocol='rbd' name='pool/c'/><target dev='vdc' bus='virtio'/>
    </disk>
    <disk type='file' device='cdrom'>
      <driver name='qemu' type='raw'/><source file='/iso/debian.iso'/>
      <target dev='sda' bus='sata'/><readonly/>
    </disk>
    <interface type='bridge'>
      <mac address='52:54:00:aa:bb:cc'/><source bridge='br0'/>
      <virtualport type='openvswitch'><parameters interfaceid='aaaa' profileid='keep'/></virtualport>
      <target dev='vnet7' managed='no'/><model type='virtio'/><alias name='net0'/>
    </interface>
    <interface type='network'><mac address='52:54:00:aa:bb:cd'/><source network='default'/></interface>
    <interface type='hostdev' managed='yes'><mac address='52:54:00:aa:bb:ce'/></interface>
    <serial type='pty'><source path='/dev/pts/5'/><target port='0'/><alias name='serial0'/></serial>
    <console type='pty' tty='/dev/pts/5'><source path='/dev/pts/5'/><target type='serial' port='0'/></console>
    <serial type='tcp'>
      <source mode='bind' host='0.0.0.0' service='4555'/><protocol type='telnet'/><target port='1'/>
    </serial>
    <channel type='unix'>
      <source mode='bind' path='/run/libvirt/qemu/channel/7-shop/org.qemu.guest_agent.0'/>
      <target type='virtio' name='org.qemu.guest_agent.0' state='connected'/><alias name='channel0'/>
    </channel>
    <channel type='tcp'><source mode='connect' host='h' service='1'/>
      <target type='virtio' name='x'/></channel>
    <graphics type='vnc' port='5907' autoport='no' websocket='5700' listen='127.0.0.1'>
      <listen type='address' address='127.0.0.1'/>
    </graphics>
    <graphics type='spice' port='5908' tlsPort='5909' autoport='no'/>
    <hostdev mode='subsystem' type='pci' managed='yes'><source/></hostdev>
    <redirdev bus='usb' type='spicevmc'/>
    <tpm model='tpm-crb'><backend type='emulator' version='2.0'/><alias name='tpm0'/></tpm>
    <vsock model='virtio'><cid auto='no' address='42'/></vsock>
  </devices>
  <seclabel type='dynamic' model='apparmor' relabel='yes'><label>libvirt-aaaa</label></seclabel>
  <seclabel type='dynamic' model='dac' relabel='yes'><label>+64055:+64055</label></seclabel>
  <qemu:commandline><qemu:arg value='-no-hpet'/></qemu:commandline>
</domain>
"""


def restored(nvram: str | None = "/r/new_VARS.fd", seed: int = 1) -> Element:
    return ElementTree.fromstring(
        rewrite_for_restore(RICH, "shop <copy>", NEW, DISKS, nvram, random.Random(seed).randbytes)
    )


def one(root: Element, path: str) -> Element:
    (found,) = root.findall(path)
    return found


def test_identity_is_new() -> None:
    root = restored()
    assert "id" not in root.attrib
    assert root.findtext("name") == "shop <copy>"
    assert root.findtext("uuid") == str(NEW)
    assert root.findtext("./sysinfo/system/entry[@name='uuid']") == str(NEW)
    assert root.findtext("./sysinfo/system/entry[@name='manufacturer']") == "Us"
    assert UUID(root.findtext("genid")).version == 4
    assert "99999999-9999" not in ElementTree.tostring(root, encoding="unicode")


def test_nothing_of_the_original_but_its_name_for_things_is_left() -> None:
    text = ElementTree.tostring(restored(), encoding="unicode")
    for trace in (
        "aaaaaaaa-bbbb", "/p/", "/dev/vg", "overwinter", "vnet7", "pts", "5907", "5908", "5909", "5700",
        "4555", "libvirt-aaaa", "64055", "debian.iso", "alias", "aa:bb:c", "shop_VARS", "7-shop", "connected",
        "mirror", "backingStore", "rbd", "index=", "interfaceid",
    ):  # fmt: skip
        assert trace not in text, trace


def test_disks_are_the_restored_ones_with_their_other_settings() -> None:
    root = restored()
    targets = [element.get("dev") for element in root.iterfind("./devices/disk/target")]
    assert targets == ["vda", "sdb", "sda"]
    first, second, cdrom = root.findall("./devices/disk")
    assert (first.get("type"), one(first, "source").attrib) == ("file", {"file": "/r/one & two.qcow2"})
    assert one(first, "driver").attrib == {
        "name": "qemu",
        "type": "qcow2",
        "cache": "none",
        "discard": "unmap",
    }
    assert first.findtext("serial") == "WD-1"
    assert one(first, "boot").get("order") == "1"
    assert one(second, "driver").get("type") == "raw"
    assert cdrom.find("source") is None
    assert cdrom.find("readonly") is not None


def test_devices_of_the_host_are_not_claimed() -> None:
    root = restored()
    for gone in ("hostdev", "redirdev", "interface[@type='hostdev']", "channel[@type='tcp']"):
        assert root.find(f"./devices/{gone}") is None, gone
    assert root.find("seclabel") is None
    assert one(root, "./devices/vsock/cid").attrib == {"auto": "yes"}
    for graphics in root.iterfind("./devices/graphics"):
        assert graphics.get("autoport") == "yes"
        assert graphics.get("port") is None
    assert [serial.get("type") for serial in root.iterfind("./devices/serial")] == ["pty", "pty"]
    assert one(root, "./devices/tpm/backend").get("type") == "emulator"
    assert one(root, "./devices/channel/target").get("name") == "org.qemu.guest_agent.0"


def test_what_others_wrote_is_kept() -> None:
    text = rewrite_for_restore(RICH, "n", NEW, DISKS, None, random.Random(1).randbytes)
    assert 'xmlns:libosinfo="http://libosinfo.org/xmlns/libvirt/domain/1.0"' in text
    assert "<libosinfo:os " in text
    assert '<qemu:arg value="-no-hpet"' in text


def test_the_variable_store_is_the_restored_one_or_a_fresh_one() -> None:
    nvram = one(restored("/r/new_VARS.fd"), "./os/nvram")
    assert nvram.text == "/r/new_VARS.fd"
    assert nvram.get("template") == "/usr/share/OVMF/OVMF_VARS_4M.fd"
    assert restored(None).find("./os/nvram") is None


@given(st.integers())
def test_every_address_is_local_new_and_different(seed: int) -> None:
    macs = [mac.get("address", "") for mac in restored(seed=seed).iterfind("./devices/interface/mac")]
    assert len(macs) == len(set(macs)) == 2
    assert all(re.fullmatch(r"52:54:00(:[0-9a-f]{2}){3}", mac) for mac in macs)


def test_a_restored_disk_that_the_definition_lacks_is_an_error() -> None:
    with pytest.raises(ChainUnexpected, match="vdz"):
        rewrite_for_restore(
            RICH, "n", NEW, {**DISKS, "vdz": ImageLayer("/r/z", "raw")}, None, random.Random(1).randbytes
        )
