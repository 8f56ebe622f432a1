"""Disks that a backup does not take: too large, encrypted, of a wrong kind."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from uuid import uuid4

import libvirt

from testkit.domains import TinyGuest
from testkit.gallery.fault import Fault
from testkit.gallery.patient import Patient
from testkit.gallery.scene import Scene, redefine

_SIZE = "UserErrorUnsupportedDiskSize"
_SECRET = "UserErrorKeyvaultPermissionsNotConfigured"

_TIB = 1 << 40
_SMALL = 64 << 20

_PASSPHRASE = b"open sesame"


def _large(size: int) -> Callable[[Scene], AbstractContextManager[Patient]]:
    @contextmanager
    def inject(scene: Scene) -> Iterator[Patient]:
        patient = scene.stopped()
        _resize(patient.guest.disks["vda"], size)
        yield patient
        _resize(patient.guest.chain("vda")[0], _SMALL)

    return inject


def _resize(image: Path, size: int) -> None:
    subprocess.run(["qemu-img", "resize", "-q", "--shrink", "-f", "qcow2", image, str(size)], check=True)


def encrypted(
    size: int, secret: Callable[[libvirt.virConnect, str], libvirt.virSecret | None]
) -> Callable[[Scene], AbstractContextManager[Patient]]:
    """A VM that has an encrypted disk besides its own; ``secret`` makes what opens it, or does not."""

    @contextmanager
    def inject(scene: Scene) -> Iterator[Patient]:
        uuid, image = str(uuid4()), scene.directory().with_suffix(".qcow2")
        _make_encrypted(image, size)
        guest = scene.make_guest()
        redefine(guest, "</devices>", f"{_encrypted_disk(image, uuid)}</devices>")
        connection = guest.domain.connect()
        defined = secret(connection, uuid)
        patient = scene.protect(guest)
        yield patient
        if defined is not None:
            defined.undefine()
        _detach(guest, "vdb")

    return inject


def _make_encrypted(image: Path, size: int) -> None:
    key = image.with_suffix(".key")
    key.write_bytes(_PASSPHRASE)
    command = ["qemu-img", "create", "-q", "-f", "qcow2", "--object", f"secret,id=key,file={key}"]
    options = ["-o", "encrypt.format=luks,encrypt.key-secret=key,encrypt.iter-time=10"]
    subprocess.run([*command, *options, image, str(size)], check=True)


def _encrypted_disk(image: Path, secret: str) -> str:
    return (
        f"<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{image}'>"
        f"<encryption format='luks'><secret type='passphrase' uuid='{secret}'/></encryption></source>"
        "<target dev='vdb' bus='virtio'/></disk>"
    )


def _replace_disk(guest: TinyGuest, mark: str, new: str) -> None:
    """Put something in the place of the disk whose definition says ``mark``."""
    xml = guest.domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    begin = xml.rindex("<disk ", 0, xml.index(mark))
    end = xml.index("</disk>", begin) + len("</disk>")
    guest.domain.connect().defineXML(xml[:begin] + new + xml[end:])


def _detach(guest: TinyGuest, target: str) -> None:
    _replace_disk(guest, f"<target dev='{target}'", "")


def _no_secret(_connection: libvirt.virConnect, _uuid: str) -> None:
    return None


def a_secret(*, private: bool, valued: bool) -> Callable[[libvirt.virConnect, str], libvirt.virSecret]:
    """What defines a secret of such a kind."""

    def define(connection: libvirt.virConnect, uuid: str) -> libvirt.virSecret:
        word = "yes" if private else "no"
        secret = connection.secretDefineXML(
            f"<secret ephemeral='yes' private='{word}'><uuid>{uuid}</uuid></secret>"
        )
        if valued:
            secret.setValue(_PASSPHRASE)
        return secret

    return define


def _network_disk(target: str) -> str:
    return (
        "<disk type='network' device='disk'><driver name='qemu' type='raw'/>"
        "<source protocol='nbd' name='x'><host name='127.0.0.1' port='10809'/></source>"
        f"<target dev='{target}' bus='virtio'/></disk>"
    )


@contextmanager
def _only_network_disks(scene: Scene) -> Iterator[Patient]:
    patient = scene.stopped()
    domain = patient.guest.domain
    before = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    _replace_disk(patient.guest, "<target dev='vda'", _network_disk("vda"))
    yield patient
    domain.connect().defineXML(before)


@contextmanager
def _one_network_disk(scene: Scene) -> Iterator[Patient]:
    guest = scene.make_guest()
    redefine(guest, "</devices>", f"{_network_disk('vdb')}</devices>")
    yield scene.protect(guest)
    _detach(guest, "vdb")


@contextmanager
def _standard_ssd(scene: Scene) -> Iterator[Patient]:
    patient = scene.stopped()
    patient.guest.domain.setMetadata(
        libvirt.VIR_DOMAIN_METADATA_ELEMENT,
        '<media><disk target="vda" type="StandardSSD_LRS"/></media>',
        "overwinter",
        "urn:overwinter:media",
        libvirt.VIR_DOMAIN_AFFECT_CONFIG,
    )
    yield patient
    patient.guest.domain.setMetadata(
        libvirt.VIR_DOMAIN_METADATA_ELEMENT,
        None,
        "overwinter",
        "urn:overwinter:media",
        libvirt.VIR_DOMAIN_AFFECT_CONFIG,
    )


FAULTS = (
    Fault("disk too large", "A disk has 33 TiB.", _SIZE, "C-DISK-BIG", _large(33 * _TIB), place="2021"),
    Fault(
        "encrypted disk too large",
        "An encrypted disk has 5 TiB.",
        _SIZE,
        "C-DISK-ENC-BIG",
        encrypted(5 * _TIB, a_secret(private=False, valued=True)),
        place="2021",
    ),
    Fault(
        "disk too large for the old stack",
        "A disk has 2 TiB, and the vault is of stack V1.",
        _SIZE,
        "C-STACK-V1",
        _large(2 * _TIB),
        place="2018",
    ),
    Fault(
        "Standard SSD in the old stack",
        "A disk is a Standard SSD, and the vault is of stack V1.",
        "UserErrorStandardSSDNotSupported",
        "C-STACK-V1",
        _standard_ssd,
        place="2018",
    ),
    Fault(
        "secret of an encrypted disk missing",
        "Nobody defined the secret that opens a disk.",
        _SECRET,
        "C-KV-PERM",
        encrypted(_SMALL, _no_secret),
    ),
    Fault(
        "secret without a value",
        "The secret of an encrypted disk has no value.",
        _SECRET,
        "C-KV-PERM",
        encrypted(_SMALL, a_secret(private=False, valued=False)),
    ),
    Fault(
        "secret private",
        "The secret of an encrypted disk may be read by nobody.",
        _SECRET,
        "C-KV-PERM",
        encrypted(_SMALL, a_secret(private=True, valued=True)),
    ),
    Fault(
        "no disk can be backed up",
        "The VM's only disk lies on the network.",
        "UserErrorVmNotInDesirableState",
        "C-DISK-UNCOVERED",
        _only_network_disks,
    ),
    Fault(
        "one disk cannot be backed up",
        "One of the VM's disks lies on the network.",
        "DiskNotCovered",
        "C-DISK-UNCOVERED",
        _one_network_disk,
    ),
)
