"""The definition of a restored VM, made from the captured one. Pure: XML in, XML out.

A restored VM must be able to run beside its original, so everything that may exist only once on a host or a
network becomes new or automatic; what exists only on the original's host and moment (labels, aliases, running
jobs) goes.
"""

from collections.abc import Callable, Mapping
from uuid import UUID
from xml.etree.ElementTree import Element, SubElement

from overwinter.hypervisor import domain_xml
from overwinter.model.errors import ChainUnexpected
from overwinter.model.vm import ImageLayer

#: XML namespace of our own entries in a domain's metadata.
METADATA_NAMESPACE = "urn:overwinter:domain:1"

#: First half of QEMU's and KVM's own range of locally administered addresses.
_MAC_PREFIX = (0x52, 0x54, 0x00)

#: Devices of the original host that a copy must not claim as well.
_HOST_DEVICES = ("hostdev", "redirdev", "lease", "shmem")


def rewrite_for_restore(
    xml: str,
    name: str,
    uuid: UUID,
    disks: Mapping[str, ImageLayer],
    nvram: str | None,
    random_bytes: Callable[[int], bytes],
) -> str:
    """The captured definition ``xml`` as a new VM called ``name`` on restored ``disks`` (by target).

    Disks that were not restored are removed; drives for removable media stay, without medium. ``nvram`` is
    the path of the restored variable store, null when the point has none. Interfaces that claim a device of
    the host (hostdev, vdpa) are removed like other passed-through devices.

    Raises ChainUnexpected when the definition has no disk for one of ``disks``.
    """
    root = domain_xml.parse(xml)
    root.attrib.pop("id", None)
    _set_text(root, "name", name)
    _set_text(root, "uuid", str(uuid))
    _renew_identity(root, uuid, random_bytes)
    _set_nvram(root, nvram)
    _remove_all(root, "seclabel")
    _remove_our_metadata(root)
    devices = root.find("devices")
    if devices is not None:
        _set_disks(devices, disks)
        _free_host_devices(devices)
        _renew_interfaces(devices, random_bytes)
        _free_consoles(devices)
        _forget_runtime(devices)
    if missing := sorted(set(disks) - {disk.target for disk in domain_xml.disks(domain_xml.text(root))}):
        raise ChainUnexpected(f"the captured definition has no disk {', '.join(missing)}")
    return domain_xml.text(root)


def _set_text(root: Element, tag: str, text: str) -> None:
    element = root.find(tag)
    if element is None:
        element = SubElement(root, tag)
    element.text = text


def _remove_all(parent: Element, tag: str) -> None:
    for element in parent.findall(tag):
        parent.remove(element)


def _renew_identity(root: Element, uuid: UUID, random_bytes: Callable[[int], bytes]) -> None:
    for entry in root.iterfind("./sysinfo/system/entry[@name='uuid']"):
        entry.text = str(uuid)
    generation = root.find("genid")
    if generation is not None:
        # A new value tells databases and domain controllers in the guest that time went backwards.
        generation.text = str(UUID(bytes=random_bytes(16), version=4))


def _set_nvram(root: Element, nvram: str | None) -> None:
    system = root.find("os")
    if system is None:
        return
    element = system.find("nvram")
    if nvram is None:
        # libvirt makes a fresh store from the template at the first start.
        if element is not None:
            system.remove(element)
        return
    if element is None:
        # A persistent definition that leaves the choice of firmware to libvirt does not name the store.
        element = SubElement(system, "nvram")
    for child in list(element):
        element.remove(child)
    element.attrib.pop("type", None)
    element.text = nvram


def _remove_our_metadata(root: Element) -> None:
    metadata = root.find("metadata")
    if metadata is None:
        return
    for element in list(metadata):
        if element.tag.startswith(f"{{{METADATA_NAMESPACE}}}"):
            metadata.remove(element)


def _set_disks(devices: Element, disks: Mapping[str, ImageLayer]) -> None:
    for element in devices.findall("disk"):
        target = element.find("target")
        layer = None if target is None else disks.get(target.get("dev", ""))
        if layer is not None:
            element.attrib.pop("snapshot", None)
            domain_xml.set_image(element, layer.path, layer.format, block_device=False)
        elif element.get("device") in domain_xml.REMOVABLE:
            _remove_all(element, "source")
            _remove_all(element, "backingStore")
            element.set("type", "file")
        else:
            devices.remove(element)


def _free_host_devices(devices: Element) -> None:
    for tag in _HOST_DEVICES:
        _remove_all(devices, tag)
    for interface in devices.findall("interface"):
        if interface.get("type") in ("hostdev", "vdpa"):
            devices.remove(interface)
    for vsock in devices.findall("vsock"):
        _remove_all(vsock, "cid")
        SubElement(vsock, "cid", {"auto": "yes"})


def _renew_interfaces(devices: Element, random_bytes: Callable[[int], bytes]) -> None:
    for interface in devices.findall("interface"):
        mac = interface.find("mac")
        if mac is None:
            mac = SubElement(interface, "mac")
        mac.attrib.clear()
        mac.set("address", ":".join(f"{byte:02x}" for byte in (*_MAC_PREFIX, *random_bytes(3))))
        target = interface.find("target")
        if target is not None:
            target.attrib.pop("dev", None)
            # An unmanaged tap device was made by the host's owner for the original alone.
            target.attrib.pop("managed", None)
        for port in interface.iterfind("./virtualport/parameters"):
            port.attrib.pop("interfaceid", None)
            port.attrib.pop("instanceid", None)


def _free_consoles(devices: Element) -> None:
    for graphics in devices.findall("graphics"):
        for attribute in ("port", "tlsPort", "websocket", "socket"):
            graphics.attrib.pop(attribute, None)
        for listen in graphics.findall("listen[@type='socket']"):
            listen.attrib.pop("socket", None)
        if graphics.get("type") in ("vnc", "spice", "rdp"):
            graphics.set("autoport", "yes")
    for tag in ("serial", "console", "parallel", "channel"):
        for element in devices.findall(tag):
            _free_character_device(devices, element)


def _free_character_device(devices: Element, element: Element) -> None:
    """libvirt chooses pseudo-terminals and its own sockets anew; logs and foreign sockets belong to the
    original.
    """
    _remove_all(element, "log")
    element.attrib.pop("tty", None)
    kind = element.get("type")
    if kind == "pty" or (kind == "unix" and element.tag == "channel"):
        _remove_all(element, "source")
    elif kind in ("unix", "tcp", "udp", "file", "dev", "pipe"):
        if element.tag == "channel":
            devices.remove(element)
        else:
            _remove_all(element, "source")
            _remove_all(element, "protocol")
            element.set("type", "pty")


def _forget_runtime(devices: Element) -> None:
    for device in devices:
        _remove_all(device, "alias")
        for source in device.iterfind("source"):
            _remove_all(source, "seclabel")
        if device.tag == "channel":
            for target in device.iterfind("target"):
                target.attrib.pop("state", None)
