"""Tiny guests as libvirt domains: define one with any disks, boot it, write to it, stop it, remove it."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

import libvirt

from testkit.accelerator import Accelerator
from testkit.agent import GuestAgent
from testkit.boot_disk import BootDiskSpec, make_boot_disk
from testkit.console import console_run
from testkit.disks import PIECE, DiskSpec, chain, make_disk
from testkit.guest import KERNEL_ARGUMENTS, GuestImage
from testkit.guest_python import guest_image_with_python
from testkit.runs import Run, remove_domain
from testkit.waiting import wait_until

MEMORY_MIB = 160

#: Far more than a boot takes on a busy machine under emulation (about 4 s when it is idle).
BOOT_LIMIT_SECONDS = 120.0


class TinyGuest:
    """A domain that is a tiny guest: one made here, or a restored copy of one.

    ``disks`` maps disk targets (vda, vdb, …) to the image files the domain had when this object was made.
    """

    def __init__(self, domain: libvirt.virDomain) -> None:
        self.domain = domain
        self.agent = GuestAgent(domain)
        self.disks = disk_files(domain)

    @property
    def name(self) -> str:
        """Name of the domain."""
        return str(self.domain.name())

    def start(self) -> None:
        """Start it and wait until it is up."""
        self.domain.create()
        self.wait_ready()

    def wait_ready(self, limit: float = BOOT_LIMIT_SECONDS) -> None:
        """Wait until the agent answers, or without an agent channel until the console's shell does."""
        if ElementTree.fromstring(self.domain.XMLDesc()).find("./devices/channel") is None:
            console_run(self.domain, "true", limit)
        else:
            wait_until(lambda: self.agent.answers, f"{self.name}: the guest agent does not answer", limit)

    def shutdown(self, limit: float = 60.0) -> None:
        """Press the power button and wait until the guest is off."""
        self.domain.shutdownFlags(libvirt.VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN)
        wait_until(lambda: not self.domain.isActive(), f"{self.name} does not shut down", limit)

    def destroy(self) -> None:
        """Pull the plug, if it runs."""
        with suppress(libvirt.libvirtError):
            self.domain.destroy()
        wait_until(lambda: not self.domain.isActive(), f"{self.name} still runs")

    def kill_agent(self) -> None:
        """Kill the agent; the guest starts a new one at once."""
        console_run(self.domain, "killall -9 qemu-ga", limit=30)

    def stop_agent(self) -> None:
        """Kill the agent for good."""
        console_run(self.domain, "touch /run/no-agent; killall -9 qemu-ga", limit=30)
        wait_until(lambda: not self.agent.answers, f"{self.name}: the guest agent still answers")

    def resume_agent(self) -> None:
        """Undo ``stop_agent`` and wait until the agent answers."""
        console_run(self.domain, "rm -f /run/no-agent", limit=30)
        self.wait_ready()

    def overwrite(self, target: str, offsets: Iterable[int], length: int = PIECE) -> None:
        """Write random data over pieces of a disk from inside the guest and flush them.

        For disks without a file system. Offsets and length are bytes and multiples of 4096.
        """
        blocks = " ".join(str(offset // 4096) for offset in offsets)
        dd = f"dd if=/dev/urandom of=/dev/{target} bs=4096 count={length // 4096} conv=notrunc"
        self.agent.check(f"for block in {blocks}; do {dd} seek=$block 2>/dev/null || exit 1; done; sync")

    def chain(self, target: str) -> list[Path]:
        """Files of a disk's present backing chain, top first."""
        return chain(disk_files(self.domain)[target])


class GuestMaker:
    """Makes the guests of one run; needs the boot files where QEMU's user can read them."""

    def __init__(
        self, connection: libvirt.virConnect, run: Run, image: GuestImage, accelerator: Accelerator
    ) -> None:
        self._connection = connection
        self._run = run
        self._image = image
        self._accelerator = accelerator

    def on(self, connection: libvirt.virConnect) -> "GuestMaker":
        """The same maker on another connection."""
        return GuestMaker(connection, self._run, self._image, self._accelerator)

    def with_python(self) -> "GuestMaker":
        """A maker whose guests also have Python."""
        directory = self._run.directory / "with-python"
        image = GuestImage(directory / "vmlinuz", directory / "initrd")
        if not directory.exists():
            directory.mkdir(mode=0o755)
            guest_image_with_python().copy_to(directory)
        return GuestMaker(self._connection, self._run, image, self._accelerator)

    def make(
        self,
        name: str,
        disks: Sequence[DiskSpec | BootDiskSpec] = (DiskSpec(),),
        *,
        agent: bool = True,
        network: bool = False,
        start: bool = True,
    ) -> TinyGuest:
        """Define a guest and, unless told otherwise, start it and wait until it is up.

        ``name`` must be new within the run. Disks are made in the run's directory. The guest boots by itself
        if its first disk is a boot disk; otherwise QEMU loads kernel and RAM disk, which is faster. Without
        ``agent`` the domain has no agent channel.
        """
        files: list[tuple[Path, str]] = []
        for number, disk in enumerate(disks):
            path = self._run.directory / f"{name}-{target_of(number)}.{disk.format}"
            if isinstance(disk, BootDiskSpec):
                make_boot_disk(path, disk, self._image)
            else:
                make_disk(path, disk)
            files.append((path, disk.format))
        boots_itself = bool(disks) and isinstance(disks[0], BootDiskSpec)
        boot = '<boot dev="hd"/>' if boots_itself else self._loaded_kernel()
        domain = self._connection.defineXML(
            f"""<domain type="{self._accelerator}">
              <name>{escape(self._run.domain_name(name))}</name>
              <memory unit="MiB">{MEMORY_MIB}</memory>
              <vcpu>1</vcpu>
              <os><type arch="x86_64" machine="pc">hvm</type>{boot}</os>
              <features><acpi/></features>
              <on_crash>destroy</on_crash>
              <devices>
                {"".join(disk_xml(number, path, form) for number, (path, form) in enumerate(files))}
                <controller type="usb" model="none"/>
                <serial type="pty"/>
                {AGENT_CHANNEL if agent else ""}
                {_NETWORK if network else ""}
                <memballoon model="none"/>
              </devices>
            </domain>"""
        )
        guest = TinyGuest(domain)
        if start:
            guest.start()
        return guest

    def find(self, full_name: str) -> TinyGuest:
        """A guest that somebody else defined, for example by restoring one."""
        return TinyGuest(self._connection.lookupByName(full_name))

    def remove(self, guest: TinyGuest) -> None:
        """Destroy and undefine a guest; delete the image files it was made with and those it has now."""
        files = {
            *guest.disks.values(),
            *(path for top in disk_files(guest.domain).values() for path in chain(top)),
        }
        remove_domain(guest.domain)
        for path in files:
            path.unlink(missing_ok=True)

    def _loaded_kernel(self) -> str:
        return (
            f"<kernel>{escape(str(self._image.kernel))}</kernel><initrd>{escape(str(self._image.initrd))}</initrd>"
            f"<cmdline>{escape(KERNEL_ARGUMENTS)}</cmdline>"
        )


AGENT_CHANNEL = '<channel type="unix"><target type="virtio" name="org.qemu.guest_agent.0"/></channel>'
_NETWORK = '<interface type="user"><model type="virtio"/></interface>'


def target_of(number: int) -> str:
    """Target of a domain's disk, counted from 0: vda, vdb …"""
    return f"vd{chr(ord('a') + number)}"


def disk_xml(number: int, path: Path, image_format: str) -> str:
    """A disk for a domain's definition."""
    return (
        f'<disk type="file" device="disk"><driver name="qemu" type="{image_format}" discard="unmap"/>'
        f'<source file={quoteattr(str(path))}/><target dev="{target_of(number)}" bus="virtio"/></disk>'
    )


def disk_files(domain: libvirt.virDomain, flags: int = 0) -> dict[str, Path]:
    """Image file of each disk target as the domain has it now, or in the definition that ``flags`` choose."""
    files = {}
    for disk in ElementTree.fromstring(domain.XMLDesc(flags)).iterfind("./devices/disk[@device='disk']"):
        source, target = disk.find("source"), disk.find("target")
        if source is not None and target is not None:
            files[target.attrib["dev"]] = Path(source.attrib["file"])
    return files
