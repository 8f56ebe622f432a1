"""What a domain's XML says about its disks. Pure functions; the format is libvirt's (formatdomain)."""

import io
import re
from dataclasses import dataclass
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from overwinter.model.errors import HypervisorError
from overwinter.model.vm import OS_LUN, DiskFormat, ImageLayer

#: Source attribute that holds the path, by disk type. Other types have no path on this host.
PATH_ATTRIBUTE = {"file": "file", "block": "dev"}

#: Namespace of the labels that tell the kind of a disk's storage.
MEDIA_NAMESPACE = "urn:overwinter:media"

REMOVABLE = ("cdrom", "floppy")


@dataclass(frozen=True)
class Mirror:
    """The target a running block job copies a disk to.

    ``state`` is libvirt's: empty while copying, ``yes`` when the job can be pivoted, ``pivot`` or ``abort``
    while it is being ended.
    """

    job: str
    path: str
    state: str


@dataclass(frozen=True)
class DiskElement:
    """One ``<disk>``.

    ``source`` is the image it names, null for an empty drive or a disk without a path. ``backing`` holds the
    layers below that the XML spells out, and ``complete`` whether it spells out the whole chain. ``obstacle``
    says why a backup cannot cover the disk; empty when it can. ``secrets`` open an encrypted one: each
    ``uuid:<UUID>`` or ``usage:<name>``.
    """

    target: str
    removable: bool
    read_only: bool
    source: ImageLayer | None
    backing: tuple[ImageLayer, ...]
    complete: bool
    obstacle: str
    mirror: Mirror | None
    secrets: tuple[str, ...] = ()

    @property
    def named(self) -> tuple[ImageLayer, ...]:
        """Every image the element names, top first."""
        return () if self.source is None else (self.source, *self.backing)


def parse(xml: str) -> Element:
    """The root element of a domain's XML. Raises HypervisorError when it is not XML."""
    try:
        for _event, (prefix, uri) in ElementTree.iterparse(io.StringIO(xml), events=("start-ns",)):
            # Foreign metadata keeps its own prefixes when the definition is written back.
            if prefix and not re.fullmatch(r"ns\d+", prefix):
                ElementTree.register_namespace(prefix, uri)
        return ElementTree.fromstring(xml)
    except ElementTree.ParseError as error:
        raise HypervisorError(f"libvirt gave a domain description that is no XML: {error}") from error


def text(root: Element) -> str:
    """The XML of an element."""
    return ElementTree.tostring(root, encoding="unicode")


def disks(xml: str) -> tuple[DiskElement, ...]:
    """All ``<disk>`` elements, in order."""
    return tuple(_disk(element) for element in parse(xml).iterfind("./devices/disk"))


def media(xml: str) -> dict[str, str]:
    """Kinds of storage that disks are labelled with in the domain's metadata, by target.

    As in ``<media xmlns="urn:overwinter:media"><disk target="vdb" type="StandardSSD_LRS"/></media>``.
    """
    labels = parse(xml).find(f"./metadata/{{{MEDIA_NAMESPACE}}}media")
    return {} if labels is None else {each.get("target", ""): each.get("type", "") for each in labels}


def hard_disks(xml: str) -> tuple[tuple[str, int], ...]:
    """Target and LUN of every disk that is no drive for removable media, covered by backups or not."""
    fixed = [disk.target for disk in disks(xml) if not disk.removable]
    return tuple((target, lun) for lun, target in enumerate(fixed, start=OS_LUN))


def disk_element(root: Element, target: str) -> Element | None:
    """The ``<disk>`` whose target device is ``target``."""
    for element in root.iterfind("./devices/disk"):
        if _target(element) == target:
            return element
    return None


def source_path(element: Element) -> str | None:
    """Path in the ``<source>`` of a disk, backing store or mirror (each carries the type its source has)."""
    source = element.find("source")
    attribute = PATH_ATTRIBUTE.get(element.get("type", ""))
    return source.get(attribute) if source is not None and attribute is not None else None


def set_image(element: Element, path: str, format_name: str, *, block_device: bool) -> None:
    """Make a ``<disk>`` use that image, with the chain its header tells; other settings stay."""
    for child in ("source", "backingStore", "mirror"):
        if (found := element.find(child)) is not None:
            element.remove(found)
    kind = "block" if block_device else "file"
    element.set("type", kind)
    driver = element.find("driver")
    if driver is None:
        driver = SubElement(element, "driver", {"name": "qemu"})
    driver.set("type", format_name)
    SubElement(element, "source", {PATH_ATTRIBUTE[kind]: path})


def _target(element: Element) -> str:
    target = element.find("target")
    return "" if target is None else target.get("dev", "")


def _disk(element: Element) -> DiskElement:
    driver = element.find("driver")
    format_name = "raw" if driver is None else driver.get("type", "raw")
    path = source_path(element)
    backing, complete = _backing(element)
    return DiskElement(
        target=_target(element),
        removable=element.get("device") in REMOVABLE,
        read_only=element.find("readonly") is not None,
        source=None if path is None else ImageLayer(path, format_name),
        backing=backing,
        complete=complete,
        obstacle=_obstacle(element, path, format_name),
        mirror=_mirror(element),
        secrets=tuple(
            f"{attribute}:{secret.attrib[attribute]}"
            for secret in element.iterfind(".//encryption/secret")
            for attribute in ("uuid", "usage")
            if attribute in secret.attrib
        ),
    )


def _backing(element: Element) -> tuple[tuple[ImageLayer, ...], bool]:
    layers: list[ImageLayer] = []
    while (element_below := element.find("backingStore")) is not None:
        path = source_path(element_below)
        if path is None:
            # An empty element ends the chain; one with a source that is no path leaves the rest unknown.
            return tuple(layers), element_below.find("source") is None
        format_element = element_below.find("format")
        layers.append(
            ImageLayer(path, "raw" if format_element is None else format_element.get("type", "raw"))
        )
        element = element_below
    return tuple(layers), False


def _mirror(element: Element) -> Mirror | None:
    mirror = element.find("mirror")
    if mirror is None:
        return None
    return Mirror(mirror.get("job", ""), source_path(mirror) or "", mirror.get("ready", ""))


def _obstacle(element: Element, path: str | None, format_name: str) -> str:
    device = element.get("device", "disk")
    kind = element.get("type", "")
    known_formats = [known.value for known in DiskFormat]
    rules = [
        (device in REMOVABLE, f"removable media ({device})"),
        (device == "lun", "a SCSI device passed through to the guest"),
        (kind not in PATH_ATTRIBUTE, f"disk type '{kind}' has no file or block device on this host"),
        (path is None, "no medium"),
        (element.find("readonly") is not None, "read-only"),
        (element.find("shareable") is not None, "shared between machines"),
        (element.find("transient") is not None, "transient: its changes are dropped at shutdown"),
        (element.find(".//encryption") is not None, "encrypted by QEMU: an overlay would hold clear text"),
        (element.find(".//slices") is not None, "a slice of a file"),
        (format_name not in known_formats, f"image format '{format_name}'"),
    ]
    return next((reason for applies, reason in rules if applies), "")
