"""As which user QEMU opens the images of a VM, and whether files that cannot be relabelled harm it."""

from uuid import UUID
from xml.etree.ElementTree import Element

from overwinter.hypervisor import chain, domain_xml
from overwinter.hypervisor.connection import Hypervisor
from overwinter.images.immutable import Reader
from overwinter.model.errors import NotFound

#: Security models that label the files of a VM's backing chain, and refuse to start it when they cannot.
_LABELLING = ("selinux",)


def image_user(hypervisor: Hypervisor, vm_uuid: UUID) -> Reader | None:
    """User and group that a VM's QEMU runs as, or None where its images must stay changeable for libvirt.

    That is so on a host with SELinux: libvirt gives every layer a label at each start, and a start at which
    it cannot fails. The plain user and group it only tries to give. A VM that was removed counts as one of
    the host's usual user. Raises HypervisorUnavailable.
    """
    with hypervisor.session() as connection:
        host = domain_xml.parse(connection.getCapabilities())
    models = {model.findtext("model"): model for model in host.iterfind("./host/secmodel")}
    if any(name in models for name in _LABELLING):
        return None
    label = _own_label(hypervisor, vm_uuid) or _default_label(models.get("dac"))
    if label is None:
        return None
    user, _, group = label.partition(":")
    if not (user.removeprefix("+").isdecimal() and group.removeprefix("+").isdecimal()):
        return None  # a name, which only libvirt can resolve: an administrator's own arrangement
    return Reader(int(user), int(group))


def _own_label(hypervisor: Hypervisor, vm_uuid: UUID) -> str | None:
    try:
        with hypervisor.domain(vm_uuid) as domain:
            return domain_xml.parse(chain.live_xml(domain)).findtext("./seclabel[@model='dac']/label")
    except NotFound:
        return None


def _default_label(model: Element | None) -> str | None:
    return None if model is None else model.findtext("./baselabel[@type='kvm']")
