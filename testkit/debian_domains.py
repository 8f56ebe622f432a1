"""Debian guests as libvirt domains: a system disk of their own over the shared base, and data disks."""

import shutil
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from xml.sax.saxutils import escape

from testkit.debian_guest import debian_image
from testkit.disks import MIB, DiskSpec, make_disk, make_overlay
from testkit.domains import AGENT_CHANNEL, TinyGuest, disk_xml, target_of
from testkit.ground import Ground

MEMORY_MIB = 640

#: Far more than a boot takes on a busy machine under emulation (about 15 s when it is idle, 30 s with UEFI).
BOOT_LIMIT_SECONDS = 300.0

#: Where the guest mounts its data disks, in the order in which they are made; see ``debian_files/adapt``.
DATA_DIRECTORIES = ("/data/ext4", "/data/xfs", "/data/btrfs", "/data/lvm")
DATA_DISKS = tuple(DiskSpec(size=size * MIB, file_system=False) for size in (256, 320, 128, 64))

_MAKE_FILE_SYSTEMS = """
set -e
mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0 -L data-ext4 /dev/vdb
mkfs.xfs -q -L data-xfs /dev/vdc
mkfs.btrfs -q -L data-btrfs /dev/vdd
pvcreate -q /dev/vde
vgcreate -q data /dev/vde
lvcreate -q -y -l 100%FREE -n data data
mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0 -L data-lvm /dev/data/data
udevadm settle
systemctl daemon-reload
"""


class Firmware(StrEnum):
    """What starts the boot loader."""

    BIOS = "bios"
    UEFI = "efi"


def make_debian_guest(
    ground: Ground,
    name: str,
    data_disks: Sequence[DiskSpec] = (),
    firmware: Firmware = Firmware.BIOS,
) -> TinyGuest:
    """Define a guest with empty data disks, start it and wait until its agent answers.

    ``name`` must be new within the run.
    """
    directory = ground.run.directory
    base = directory / "debian.qcow2"
    if not base.exists():
        # QEMU's user may not reach a clone under /root.
        shutil.copyfile(debian_image().disk, base)
    system = directory / f"{name}-vda.qcow2"
    make_overlay(system, base)
    disks: list[tuple[Path, str]] = [(system, "qcow2")]
    for number, spec in enumerate(data_disks, 1):
        path = directory / f"{name}-{target_of(number)}.{spec.format}"
        make_disk(path, spec)
        disks.append((path, spec.format))
    efi = firmware is Firmware.UEFI
    no_secure_boot = '<firmware><feature enabled="no" name="secure-boot"/></firmware>'
    domain = ground.connection.defineXML(
        f"""<domain type="{ground.accelerator}">
          <name>{escape(ground.run.domain_name(name))}</name>
          <memory unit="MiB">{MEMORY_MIB}</memory>
          <vcpu>1</vcpu>
          <os{' firmware="efi"' if efi else ""}>
            <type arch="x86_64" machine="{"q35" if efi else "pc"}">hvm</type>
            {no_secure_boot if efi else ""}<boot dev="hd"/>
          </os>
          <features><acpi/></features>
          <on_crash>destroy</on_crash>
          <devices>
            {"".join(disk_xml(number, path, form) for number, (path, form) in enumerate(disks))}
            <controller type="usb" model="none"/>
            <serial type="pty"/>
            {AGENT_CHANNEL}
            <memballoon model="none"/>
          </devices>
        </domain>"""
    )
    guest = TinyGuest(domain)
    domain.create()
    guest.wait_ready(BOOT_LIMIT_SECONDS)
    return guest


def make_file_systems(guest: TinyGuest) -> None:
    """Put ext4, xfs, btrfs and ext4 on LVM on the guest's ``DATA_DISKS``; mounted now and at each boot."""
    units = " ".join(f"{directory.strip('/').replace('/', '-')}.mount" for directory in DATA_DIRECTORIES)
    # The boot may still wait for these disks, and mount each as soon as it knows its label.
    guest.agent.check(f"{_MAKE_FILE_SYSTEMS}systemctl start {units}", BOOT_LIMIT_SECONDS)
