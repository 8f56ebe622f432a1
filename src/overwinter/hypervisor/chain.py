"""Which images a disk consists of right now, which of them are ours, and who still names a file."""

from collections.abc import Iterator

import libvirt

from overwinter.hypervisor import domain_xml
from overwinter.hypervisor.domain_xml import DiskElement
from overwinter.images.chain import read_chain
from overwinter.model.errors import NotFound
from overwinter.model.vm import ImageLayer

Chain = tuple[ImageLayer, ...]


def live_xml(domain: libvirt.virDomain) -> str:
    """Definition of the running domain, or the persistent one when it does not run."""
    return str(domain.XMLDesc(0))


def running_xml(domain: libvirt.virDomain) -> str:
    """Definition of the domain as it runs, secrets included, without what only holds for this run."""
    return str(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_MIGRATABLE | libvirt.VIR_DOMAIN_XML_SECURE))


def persistent_xml(domain: libvirt.virDomain) -> str:
    """What the domain will be at its next start, secrets included."""
    return str(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE))


def find_disk(xml: str, target: str) -> DiskElement:
    """The disk of that target with an image. Raises NotFound when the definition has none."""
    for disk in domain_xml.disks(xml):
        if disk.target == target and disk.source is not None:
            return disk
    raise NotFound(f"the VM has no disk {target} with an image")


def complete_chain(disk: DiskElement) -> Chain:
    """All images of a disk, top first: as libvirt tells of a running VM, else as the image headers tell."""
    if disk.source is None:
        return ()
    if disk.complete:
        return disk.named
    return read_chain(disk.source.path, disk.source.format)


def current_chain(domain: libvirt.virDomain, target: str) -> Chain:
    """Images of a disk of a running or stopped domain, top first.

    Of a stopped domain only the name of the top is believed, the rest is read from the images: a definition
    may spell out a chain that has been shortened since.
    """
    disk = find_disk(live_xml(domain), target)
    if domain.isActive():
        return complete_chain(disk)
    assert disk.source is not None
    return read_chain(disk.source.path, disk.source.format)


def is_named(connection: libvirt.virConnect, path: str) -> bool:
    """Whether any domain's live or persistent definition names the file, in a chain or as a job's target.

    A definition of a stopped domain does not tell what lies below its images.
    """
    return any(
        path in (*(layer.path for layer in disk.named), *_job_target(disk))
        for disk in _every_disk(connection)
    )


def written_images(connection: libvirt.virConnect) -> set[str]:
    """Every file that a domain writes to now or will at its next start: tops of chains, targets of jobs."""
    return {
        path
        for disk in _every_disk(connection)
        for path in (*(layer.path for layer in disk.named[:1]), *_job_target(disk))
    }


def _job_target(disk: DiskElement) -> tuple[str, ...]:
    return () if disk.mirror is None else (disk.mirror.path,)


def _every_disk(connection: libvirt.virConnect) -> Iterator[DiskElement]:
    """The disks of all live and persistent definitions."""
    for domain in connection.listAllDomains():
        try:
            definitions = live_xml(domain), persistent_xml(domain)
        except libvirt.libvirtError as error:
            if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
                continue  # removed since it was listed
            raise
        for xml in definitions:
            yield from domain_xml.disks(xml)
