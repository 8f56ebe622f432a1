"""The Debian guest: a whole Debian with systemd, databases and all file systems on a disk that boots.

Installed from packages of the mirrors that the host's own apt uses, without running the guest. The disk has
an MBR, a FAT partition from which both BIOS (SYSLINUX) and UEFI (systemd-boot) boot, and an ext4 root. The
kernel is Debian's; the RAM disk is a small one of ours, as the usual one takes long under emulation.

Built once per set of inputs into a cache directory; nothing is installed on the host.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from testkit.disks import MIB, make_ext4
from testkit.guest import FAST_START, MODULES, apt

FILES_DIRECTORY = Path(__file__).with_name("debian_files")
CACHE_DIRECTORY = Path(__file__).parents[1] / ".cache" / "debian-guest"

PACKAGES = (
    "btrfs-progs",
    "dbus",
    "kmod",
    "linux-image-cloud-amd64",
    "lvm2",
    "mariadb-server",
    "postgresql",
    "python3",
    "qemu-guest-agent",
    "systemd-boot-efi",
    "systemd-sysv",
    "udev",
    "xfsprogs",
)

#: What no test reads; the libraries belong to PostgreSQL's compiled queries, which are off.
LEFT_OUT = (
    "/usr/share/man/*",
    "/usr/share/doc/*",
    "/usr/share/locale/*",
    "/usr/share/info/*",
    "/usr/lib/x86_64-linux-gnu/libLLVM*",
    "/usr/lib/x86_64-linux-gnu/libz3.so*",
    "/usr/lib/postgresql/*/lib/bitcode/*",
    "/usr/share/mysql-test/*",
)

KERNEL_ARGUMENTS = f"console=ttyS0 quiet panic=-1 {FAST_START} net.ifnames=0 systemd.show_status=0"

#: Where Debian's syslinux-common keeps the boot code of the MBR.
MBR_CODE = Path("/usr/lib/syslinux/mbr/mbr.bin")

BOOT_START, BOOT_SIZE = 1 * MIB, 40 * MIB
ROOT_START, ROOT_SIZE = BOOT_START + BOOT_SIZE, 2048 * MIB

SYSLINUX_CONFIGURATION = (
    f"DEFAULT debian\nLABEL debian\nLINUX vmlinuz\nINITRD initrd\nAPPEND {KERNEL_ARGUMENTS}\n"
)
LOADER_CONFIGURATION = "timeout 0\ndefault debian.conf\n"
LOADER_ENTRY = f"title Debian\nlinux /vmlinuz\ninitrd /initrd\noptions {KERNEL_ARGUMENTS}\n"


@dataclass(frozen=True)
class DebianImage:
    """The qcow2 disk that guests use as the base of their own; nobody writes to it."""

    disk: Path


def debian_image(cache: Path = CACHE_DIRECTORY) -> DebianImage:
    """The guest's disk, built if the cache has none for the present inputs; callers may be many."""
    cache.mkdir(parents=True, exist_ok=True)
    directory = cache / _inputs_digest()
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not directory.exists():
            with tempfile.TemporaryDirectory(dir=cache) as scratch:
                built = Path(scratch) / "image"
                built.mkdir()
                root = Path(scratch) / "root"
                _install(Path(scratch), root)
                _make_disk(Path(scratch), root, built / "disk.qcow2")
                built.rename(directory)
    return DebianImage(directory / "disk.qcow2")


def _inputs_digest() -> str:
    """Changes whenever this module, the guest's files or the host's busybox change."""
    digest = hashlib.sha256()
    for path in (Path(__file__), *sorted(FILES_DIRECTORY.iterdir()), Path("/bin/busybox")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _install(scratch: Path, root: Path) -> None:
    """Install the packages into a directory, as root of this machine, in namespaces of their own."""
    options = scratch / "apt.conf"
    options.write_text(_apt_options())
    command = ["mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", f"--include={','.join(PACKAGES)}"]
    command += [f"--aptopt={options}", '--aptopt=APT::Install-Recommends "false"']
    command += [f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT]
    command += [f"--customize-hook={FILES_DIRECTORY / 'adapt'}", "", str(root), "-"]
    # INITRD=No: the kernel's package makes no RAM disk.
    environment = {**os.environ, "INITRD": "No", "LC_ALL": "C"}
    sources = _host_sources()
    done = subprocess.run(
        command, input=sources, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"the Debian guest cannot be installed: {done.stderr[-2000:]}")


def _host_sources() -> str:
    """Debian's package sources as the host has them, one line each."""
    line = "deb $(REPO_URI) $(RELEASE) $(COMPONENT)"
    return apt("apt-get", "indextargets", "--format", line, "Created-By: Packages", "Origin: Debian")


def _apt_options() -> str:
    """How the host's apt reaches them: proxies, certificates, time limits."""
    dump = subprocess.run(
        ["apt-config", "dump", "Acquire"], check=True, capture_output=True, text=True
    ).stdout
    return "".join(f"{line}\n" for line in dump.splitlines() if "::IndexTargets" not in line)


def _make_disk(scratch: Path, root: Path, disk: Path) -> None:
    raw = scratch / "disk.raw"
    with raw.open("xb") as file:
        file.write(MBR_CODE.read_bytes())
        file.truncate(ROOT_START + ROOT_SIZE)
    table = (
        "label: dos\n"
        f"start={BOOT_START // 512}, size={BOOT_SIZE // 512}, type=ef, bootable\n"
        f"start={ROOT_START // 512}, type=83\n"
    )
    subprocess.run(["sfdisk", "--quiet", str(raw)], input=table, text=True, check=True)
    _fill_boot_partition(scratch, root, raw)
    make_ext4(raw, content=root, offset=ROOT_START, size=ROOT_SIZE)
    compressed = ["-c", "-o", "compression_type=zstd"]
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", *compressed, str(raw), str(disk)], check=True)
    raw.unlink()


def _fill_boot_partition(scratch: Path, root: Path, raw: Path) -> None:
    drive = f"{raw}@@{BOOT_START}"
    sizes = ["-F", "-T", str(BOOT_SIZE // 512), "-H", str(BOOT_START // 512)]
    subprocess.run(["mformat", "-i", drive, *sizes, "::"], check=True)
    subprocess.run(["syslinux", "--install", "--offset", str(BOOT_START), str(raw)], check=True)
    initrd = scratch / "initrd"
    _make_initrd(scratch / "initramfs", root, initrd)
    (kernel,) = (root / "boot").glob("vmlinuz-*")
    loader = root / "usr/lib/systemd/boot/efi/systemd-bootx64.efi"
    directories = ["::EFI", "::EFI/BOOT", "::loader", "::loader/entries"]
    subprocess.run(["mmd", "-i", drive, *directories], check=True)
    for source, name in ((kernel, "vmlinuz"), (initrd, "initrd"), (loader, "EFI/BOOT/BOOTX64.EFI")):
        subprocess.run(["mcopy", "-i", drive, str(source), f"::{name}"], check=True)
    for text, name in (
        (SYSLINUX_CONFIGURATION, "syslinux.cfg"),
        (LOADER_CONFIGURATION, "loader/loader.conf"),
        (LOADER_ENTRY, "loader/entries/debian.conf"),
    ):
        subprocess.run(["mcopy", "-i", drive, "-", f"::{name}"], input=text, text=True, check=True)


def _make_initrd(directory: Path, root: Path, initrd: Path) -> None:
    for name in ("bin", "lib/modules", "proc", "sys", "dev", "root"):
        (directory / name).mkdir(parents=True)
    shutil.copy("/bin/busybox", directory / "bin/busybox")
    for applet in ("sh", "mount", "insmod", "sleep", "switch_root"):
        (directory / "bin" / applet).symlink_to("busybox")
    shutil.copy(FILES_DIRECTORY / "initramfs-init", directory / "init")
    (directory / "init").chmod(0o755)
    for module in MODULES:
        (found,) = (root / "lib/modules").rglob(f"{module}.ko")
        shutil.copy(found, directory / "lib/modules")
    (directory / "lib/modules/order").write_text("".join(f"{module}\n" for module in MODULES))
    files = subprocess.run(["find", ".", "-print0"], cwd=directory, check=True, capture_output=True).stdout
    with initrd.open("wb") as output:
        cpio = ["cpio", "--quiet", "--null", "--create", "--format=newc", "--owner=+0:+0"]
        subprocess.run(cpio, cwd=directory, input=files, stdout=output, check=True)
