"""A definition as others may see it."""

from xml.etree import ElementTree

from overwinter.hypervisor.shown import shown
from overwinter.model.redaction import MARK

XML = """\
<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>web01</name>
  <metadata>
    <m:media xmlns:m="urn:overwinter:media"><disk target="vdb" type="StandardSSD_LRS"/></m:media>
    <n:instance xmlns:n="urn:nobody"><n:password>planted-metadata</n:password></n:instance>
  </metadata>
  <sysinfo type='smbios'><oemStrings><entry>planted-oem</entry></oemStrings></sysinfo>
  <sysinfo type='fwcfg'><entry name='opt/x'>planted-firmware</entry></sysinfo>
  <launchSecurity type='sev'><dhCert>planted-cert</dhCert><session>planted-session</session></launchSecurity>
  <devices>
    <disk type='file'><source file='/images/a.qcow2'/><target dev='vda'/></disk>
    <graphics type='vnc' passwd='planted-vnc'/>
    <graphics type='spice' passwd='planted-spice' port='5900'/>
  </devices>
  <qemu:commandline><qemu:arg value='-s'/><qemu:env name='X' value='planted-env'/></qemu:commandline>
</domain>
"""


def test_secrets_go_and_the_rest_stays() -> None:
    safe = shown(XML)
    assert "planted" not in safe
    root = ElementTree.fromstring(safe)
    assert root.findtext("name") == "web01"
    assert [display.attrib["passwd"] for display in root.iterfind("./devices/graphics")] == [MARK, MARK]
    assert root.find("./devices/disk/source[@file='/images/a.qcow2']") is not None
    assert root.find("./metadata/{urn:overwinter:media}media/disk") is not None
    assert "/images/a.qcow2" in safe and "-s" in safe
