"""virtnbdbackup: dirty bitmaps and NBD out of a running QEMU. The VM has no system and stays paused.

Changes are written by QEMU itself, as if the guest had made them, so that its bitmaps see them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.sax.saxutils import quoteattr

import libvirt
import libvirt_qemu

from bench.changes import PIECE
from bench.rows import Row, What
from bench.scene import Scene, stored
from bench.tools.base import Tool, words_of
from testkit.daemons import LIBVIRT_URI
from testkit.runs import remove_domain

#: The disk within QEMU's tree of devices, for a libvirt disk alias virtio-disk0.
_DEVICE = "/machine/peripheral/virtio-disk0/virtio-backend"


class Virtnbdbackup(Tool):
    """Neither compresses (its default), nor dedupes, nor encrypts."""

    name = "virtnbdbackup"

    def describe(self) -> dict[str, object]:
        """See ``Tool``."""
        return {
            "version": words_of("virtnbdbackup", "--version"),
            "settings": "defaults: stream format, no compression; levels full, inc, inc; virtnbdrestore",
            "bytes_read": "not told: it reads from a socket",
            "memory": "of virtnbdbackup and what it starts, without the VM's QEMU that reads the disk for it",
            "changed1": "each piece is filled with one repeated byte (it does not compress)",
        }

    def rows(self, scene: Scene) -> Iterator[Row]:
        """See ``Tool``."""
        disk, repository = scene.working_copy(), scene.directory / "repository"
        repository.mkdir()
        sockets = scene.directory / "sockets"
        sockets.mkdir()
        sockets.chmod(0o1777)  # QEMU makes its sockets and scratch files there under a user of its own
        common: list[str | Path] = ["-n", "-f", sockets / "nbd"]

        def backup(what: What, level: str) -> Row:
            before = stored(repository)
            done = scene.measure(
                ["virtnbdbackup", "-d", name, "-l", level, "-o", repository, "-S", sockets, *common],
                reads=disk,
            )
            grown = stored(repository) - before
            return scene.row(self.name, what, done, bytes_read=None, bytes_stored=grown)

        with _paused_domain(scene, disk) as domain:
            name = domain.name()
            yield backup("first", "full")
            yield backup("unchanged", "inc")
            for number, offset in enumerate(scene.pieces):
                _overwrite(domain, offset, 1 + number % 255)
            yield backup("changed1", "inc")
        target = scene.directory / "restored"
        restore = ["virtnbdrestore", "-a", "restore", "-i", repository, "-o", target, *common]
        log = scene.directory / "restore.log"
        done = scene.measure([*restore, "-L", log], reads=disk)
        yield scene.row(self.name, "restore", done, bytes_read=None)
        scene.check_restored(target / disk.name, "qcow2", disk)


@contextmanager
def _paused_domain(scene: Scene, disk: Path) -> Iterator[libvirt.virDomain]:
    connection = libvirt.open(LIBVIRT_URI)
    try:
        domain = connection.defineXML(_definition(scene.run.domain_name("bench"), disk))
        try:
            domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
            yield domain
        finally:
            remove_domain(domain)
    finally:
        connection.close()


def _definition(name: str, disk: Path) -> str:
    return f"""
    <domain type="qemu">
      <name>{name}</name>
      <memory unit="MiB">64</memory>
      <os><type arch="x86_64">hvm</type></os>
      <devices>
        <disk type="file" device="disk">
          <driver name="qemu" type="qcow2"/>
          <source file={quoteattr(str(disk))}/>
          <target dev="vda" bus="virtio"/>
        </disk>
      </devices>
    </domain>"""


def _overwrite(domain: libvirt.virDomain, offset: int, pattern: int) -> None:
    command = f'qemu-io -d {_DEVICE} "write -P {pattern} {offset} {PIECE}"'
    libvirt_qemu.qemuMonitorCommand(domain, command, libvirt_qemu.VIR_DOMAIN_QEMU_MONITOR_COMMAND_HMP)
