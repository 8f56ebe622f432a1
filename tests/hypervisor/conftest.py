"""Machines without an operating system: their disks are real, and QEMU itself writes to them on demand."""

import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID, uuid4

import libvirt
import libvirt_qemu
import pytest

from overwinter.hypervisor.connection import Hypervisor
from testkit.disks import DiskSpec, make_disk
from testkit.ground import Ground
from testkit.runs import remove_domain

MIB = 1 << 20
SIZE = 16 * MIB


@pytest.fixture(scope="session")
def hypervisor() -> Iterator[Hypervisor]:
    opened = Hypervisor()
    yield opened
    opened.close()


class BareMachine:
    """``content`` is what each disk must read as: every write goes to the disk and to this model."""

    def __init__(
        self, domain: libvirt.virDomain, directory: Path, disks: dict[str, tuple[Path, str]]
    ) -> None:
        self.domain = domain
        self.directory = directory
        self.disks = disks
        self.uuid = UUID(domain.UUIDString())
        self.content = {target: bytearray(read_disk(*disks[target])) for target in disks}

    def write(self, target: str, offset: int, length: int, pattern: int) -> None:
        order = f"write -P {pattern} {offset} {length}"
        if self.domain.isActive():
            self._order(target, order)
            self._order(target, "flush")  # so that an independent reader finds QEMU's metadata on the disk
        else:
            path, form = self.top(target)
            subprocess.run(["qemu-io", "-f", form, "-c", order, path], check=True, capture_output=True)
        self.content[target][offset : offset + length] = bytes([pattern]) * length

    def _order(self, target: str, order: str) -> None:
        device = f"/machine/peripheral/virtio-disk{list(self.disks).index(target)}/virtio-backend"
        answer = libvirt_qemu.qemuMonitorCommand(
            self.domain,
            f'qemu-io -d {device} "{order}"',
            libvirt_qemu.VIR_DOMAIN_QEMU_MONITOR_COMMAND_HMP,
        )
        assert answer.strip() == "", answer  # it reports success on its own standard output

    def top(self, target: str) -> tuple[str, str]:
        disk = next(
            piece
            for piece in re.findall(r"<disk.*?</disk>", self.domain.XMLDesc(), re.DOTALL)
            if f"<target dev='{target}'" in piece
        )
        source = re.search(r"<source (?:file|dev)='([^']*)'", disk)
        driver = re.search(r"<driver [^>]*type='([^']*)'", disk)
        assert source is not None
        assert driver is not None
        return source[1], driver[1]

    def snapshot_of(self) -> dict[str, bytes]:
        return {target: bytes(content) for target, content in self.content.items()}


def read_disk(path: Path | str, form: str) -> bytes:
    """What a guest would see of an image, by an independent reader; also while QEMU has it open."""
    raw = Path(path).with_name(f"{Path(path).name}.read-{uuid4().hex[:6]}")
    try:
        subprocess.run(["qemu-img", "convert", "-U", "-f", form, "-O", "raw", path, raw], check=True)
        return raw.read_bytes()
    finally:
        raw.unlink(missing_ok=True)


@contextmanager
def small_file_system(directory: Path, kib: int) -> Iterator[Path]:
    """A file system of that size, for running out of space for real."""
    directory.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kib}k,mode=755", "tmpfs", directory], check=True)
    try:
        yield directory
    finally:
        subprocess.run(["umount", "-l", directory], check=True)


def moved(vm: BareMachine, directory: Path) -> str:
    """The new place of a stopped machine's disk, for which the machine is defined anew."""
    old, _ = vm.disks["vda"]
    new = directory / old.name
    subprocess.run(["cp", "--sparse=always", old, new], check=True)
    vm.domain.connect().defineXML(vm.domain.XMLDesc(2).replace(str(old), str(new)))
    return str(new)


@contextmanager
def loop_device(vm: BareMachine) -> Iterator[str]:
    """Lets the stopped machine use its disk's file as a block device, as a logical volume would be."""
    if not Path("/dev/loop-control").exists():
        pytest.skip("this machine has no loop devices")
    path = str(vm.disks["vda"][0])
    attached = subprocess.run(["losetup", "-f", "--show", path], check=True, capture_output=True, text=True)
    device = attached.stdout.strip()
    xml = vm.domain.XMLDesc(2).replace("<disk type='file'", "<disk type='block'")
    vm.domain.connect().defineXML(xml.replace(f"file='{path}'", f"dev='{device}'"))
    try:
        yield device
    finally:
        if vm.domain.isActive():
            vm.domain.destroy()
        subprocess.run(["losetup", "-d", device], check=True)


class BareMaker:
    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self.made: list[libvirt.virDomain] = []

    def make(
        self,
        formats: Sequence[str] = ("qcow2",),
        *,
        running: bool = True,
        size: int = SIZE,
        extra: str = "",
        uefi: bool = False,
    ) -> BareMachine:
        name = uuid4().hex[:6]
        machine = "q35" if uefi else "pc"
        directory = self._ground.run.directory / name
        directory.mkdir()
        disks = {}
        for number, form in enumerate(formats):
            target = f"vd{chr(ord('a') + number)}"
            path = directory / f"disk {number}.{form}"  # a space, as people's file names have
            make_disk(path, DiskSpec(form, size, file_system=False))
            disks[target] = (path, form)
        elements = "".join(
            f"<disk type='file' device='disk'><driver name='qemu' type='{form}' discard='unmap'/>"
            f"<source file='{path}'/><target dev='{target}' bus='virtio'/></disk>"
            for target, (path, form) in disks.items()
        )
        domain = self._ground.connection.defineXML(
            f"""<domain type='{self._ground.accelerator}'><name>{self._ground.run.domain_name(name)}</name>
            <metadata><note:text xmlns:note='urn:example:note'>kept</note:text></metadata>
            <memory unit='MiB'>32</memory><vcpu>1</vcpu>
            <os {"firmware='efi'" if uefi else ""}><type arch='x86_64' machine='{machine}'>hvm</type></os>
            <features><acpi/></features>
            <devices>{elements}{extra}<memballoon model='none'/></devices></domain>"""
        )
        self.made.append(domain)
        made = BareMachine(domain, directory, disks)
        for number, target in enumerate(disks):
            made.write(target, number * MIB, MIB, 0x10 + number)
        if running:
            domain.create()
        return made


@pytest.fixture
def machines(ground: Ground) -> Iterator[BareMaker]:
    maker = BareMaker(ground)
    yield maker
    for domain in maker.made:
        remove_domain(domain)
