"""The definition of a VM as others may see it: without passwords and other programs' metadata."""

from collections.abc import Iterator
from uuid import UUID
from xml.etree.ElementTree import Element

import libvirt

from overwinter.hypervisor import chain, domain_xml
from overwinter.hypervisor.connection import Hypervisor
from overwinter.model.errors import VmNotInDesirableState
from overwinter.model.redaction import MARK

#: Attributes that are passwords, wherever they stand (displays: formatdomain, "Graphical framebuffers").
_PASSWORDS = ("passwd",)

_QEMU = "{http://libvirt.org/schemas/domain/qemu/1.0}"

#: Texts that people use to hand secrets to a guest or to its firmware.
_TEXTS = (
    "./sysinfo[@type='fwcfg']/entry",
    "./sysinfo/oemStrings/entry",
    "./launchSecurity/session",
    "./launchSecurity/dhCert",
)


def persistent(hypervisor: Hypervisor, vm_uuid: UUID) -> str:
    """The domain's definition at its next start. Raises NotFound, HypervisorError, HypervisorUnavailable."""
    with hypervisor.domain(vm_uuid) as domain:
        xml = chain.persistent_xml(domain)
    return shown(xml)


def running(hypervisor: Hypervisor, vm_uuid: UUID) -> str:
    """The domain as it runs. Raises VmNotInDesirableState when it does not, else as ``persistent``."""
    with hypervisor.domain(vm_uuid) as domain:
        if not domain.isActive():
            raise VmNotInDesirableState("The VM does not run.")
        xml = chain.live_xml(domain)
    return shown(xml)


def shown(xml: str) -> str:
    """A definition with ``MARK`` for its secrets and other programs' metadata. Raises HypervisorError."""
    root = domain_xml.parse(xml)
    for element in root.iter():
        for name in _PASSWORDS:
            if name in element.attrib:
                element.set(name, MARK)
    for path in _TEXTS:
        for element in root.iterfind(path):
            element.text = MARK
    for element in root.iterfind(f"./{_QEMU}commandline/{_QEMU}env"):
        element.set("value", MARK)
    for metadata in root.iterfind("./metadata"):
        for element in [each for each in metadata if domain_xml.MEDIA_NAMESPACE not in each.tag]:
            metadata.remove(element)
    return domain_xml.text(root)


def passwords(hypervisor: Hypervisor) -> list[bytes]:
    """The passwords in the definitions of all domains, for whoever must keep them out of what is shown.

    Raises HypervisorError, HypervisorUnavailable.
    """
    with hypervisor.session() as connection:
        texts = [xml for domain in connection.listAllDomains() for xml in _secure(domain)]
    return [value.encode() for xml in texts for value in _passwords(domain_xml.parse(xml))]


def _secure(domain: libvirt.virDomain) -> Iterator[str]:
    try:
        yield chain.persistent_xml(domain)
        yield chain.running_xml(domain)
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
            raise


def _passwords(root: Element) -> Iterator[str]:
    for element in root.iter():
        yield from (element.attrib[name] for name in _PASSWORDS if name in element.attrib)
