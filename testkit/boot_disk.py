"""A disk that a tiny guest boots from by itself: a restored VM that comes up proves that its disk boots.

MBR, a FAT partition with SYSLINUX, kernel and RAM disk, then an ext4 partition that the guest mounts at
``/mnt/vda2``. Made with user-space tools alone; nothing is mounted.
"""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from testkit.disks import MIB, convert, make_ext4
from testkit.guest import KERNEL_ARGUMENTS, GuestImage

#: Where Debian's syslinux-common keeps the boot code of the MBR.
MBR_CODE = Path("/usr/lib/syslinux/mbr/mbr.bin")

BOOT_START, BOOT_SIZE = 1 * MIB, 40 * MIB
DATA_START = BOOT_START + BOOT_SIZE

SYSLINUX_CONFIGURATION = (
    f"DEFAULT guest\nLABEL guest\nLINUX vmlinuz\nINITRD initrd\nAPPEND {KERNEL_ARGUMENTS}\n"
)


@dataclass(frozen=True)
class BootDiskSpec:
    """A bootable disk to be made: QEMU format, bytes of its ext4 partition; the rest takes 41 MiB more."""

    format: str = "qcow2"
    data_size: int = 64 * MIB


def make_boot_disk(path: Path, spec: BootDiskSpec, image: GuestImage) -> None:
    """Make the image file of a bootable disk."""
    raw = path.with_name(f"{path.name}.making")
    with raw.open("xb") as file:
        file.write(MBR_CODE.read_bytes())
        file.truncate(DATA_START + spec.data_size)
    _partition(raw)
    _fill_boot_partition(raw, image)
    make_ext4(raw, offset=DATA_START, size=spec.data_size)
    convert(raw, "raw", path, spec.format)
    raw.unlink()


def _partition(raw: Path) -> None:
    table = (
        "label: dos\n"
        f"start={BOOT_START // 512}, size={BOOT_SIZE // 512}, type=c, bootable\n"
        f"start={DATA_START // 512}, type=83\n"
    )
    subprocess.run(["sfdisk", "--quiet", str(raw)], input=table, text=True, check=True)


def _fill_boot_partition(raw: Path, image: GuestImage) -> None:
    drive = f"{raw}@@{BOOT_START}"
    format_ = ["mformat", "-i", drive, "-F", "-T", str(BOOT_SIZE // 512), "-H", str(BOOT_START // 512), "::"]
    subprocess.run(format_, check=True)
    subprocess.run(["syslinux", "--install", "--offset", str(BOOT_START), str(raw)], check=True)
    configuration = ["mcopy", "-i", drive, "-", "::syslinux.cfg"]
    subprocess.run(configuration, input=SYSLINUX_CONFIGURATION, text=True, check=True)
    for source, name in ((image.kernel, "vmlinuz"), (image.initrd, "initrd")):
        subprocess.run(["mcopy", "-i", drive, str(source), f"::{name}"], check=True)
