"""Keeping the persistent definition of a domain true to its images: what libvirt does not do by itself.

After snapshots libvirt's persistent definition spells out part of the chain, and after a pivot it says that
the chain ends. Both outlive the truth: the first would name files that a merge of the stopped VM removes, the
second hides a backing file that someone adds later.
"""

from collections.abc import Collection
from uuid import UUID

import libvirt

from overwinter.hypervisor import chain, domain_xml
from overwinter.hypervisor.connection import Hypervisor
from overwinter.images.spec import is_block_device
from overwinter.model.names import is_overlay
from overwinter.model.vm import ImageLayer


def set_disk_image(
    domain: libvirt.virDomain, target: str, layer: ImageLayer, instead_of: Collection[str] = ()
) -> None:
    """Let the disk use ``layer`` at the next start, with the chain that the image's header tells.

    Only a definition that names ``layer``, an overlay of ours or a path of ``instead_of`` is changed: a
    person may have chosen another image for the next start. Nothing is written either when all is said
    already, when it has no such disk (hot-plugged), or when the domain is transient.
    """
    if not domain.isPersistent():
        return
    persistent = chain.persistent_xml(domain)
    element = domain_xml.disk_element(domain_xml.parse(persistent), target)
    if element is None:
        return
    named = next(disk for disk in domain_xml.disks(persistent) if disk.target == target)
    if named.source is None or (named.source == layer and element.find("backingStore") is None):
        return
    if named.source.path not in (layer.path, *instead_of) and not is_overlay(named.source.path):
        return
    domain_xml.set_image(element, layer.path, layer.format, block_device=is_block_device(layer.path))
    # Only this disk is written back: defining the whole VM anew could undo what somebody changes meanwhile.
    domain.updateDeviceFlags(domain_xml.text(element), libvirt.VIR_DOMAIN_AFFECT_CONFIG)


def outdated_disks(hypervisor: Hypervisor, vm_uuid: UUID) -> dict[str, str]:
    """Disks of a running VM whose persistent definition names an image *below* the one in use, with its path.

    At its next start the VM would write into an image that its overlays rest on, which destroys them all.
    Nobody can want that; another image, outside the chain, a person may have chosen. Raises NotFound.
    """
    with hypervisor.domain(vm_uuid) as domain:
        if not domain.isActive() or not domain.isPersistent():
            return {}
        below = {
            disk.target: {layer.path for layer in chain.complete_chain(disk)[1:]}
            for disk in domain_xml.disks(chain.live_xml(domain))
            if not disk.obstacle
        }
        named = domain_xml.disks(chain.persistent_xml(domain))
        return {
            disk.target: disk.source.path
            for disk in named
            if disk.source is not None and disk.source.path in below.get(disk.target, ())
        }


def adopt_running_image(hypervisor: Hypervisor, vm_uuid: UUID, target: str, outdated: str) -> None:
    """Let the persistent definition of a running VM name the image that the disk uses, not ``outdated``.

    Raises NotFound, HypervisorError when libvirt refuses.
    """
    with hypervisor.domain(vm_uuid) as domain:
        top, *_ = chain.current_chain(domain, target)
        set_disk_image(domain, target, top, instead_of=[outdated])
