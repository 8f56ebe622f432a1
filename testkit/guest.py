"""The tiny guest: a kernel and an initial RAM disk made of Debian packages, up in seconds without KVM.

The RAM disk holds the whole system: static busybox as init and shell, qemu-guest-agent with its libraries,
and the kernel modules of virtio disks and channels. It mounts every disk or partition that has an ext4 file
system at ``/mnt/<device>`` and keeps the agent running (see ``guest_files/``).

Built once per set of inputs into a cache directory; nothing is installed on the host.
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

#: Resolved to the newest image package it depends on.
KERNEL_META_PACKAGE = "linux-image-cloud-amd64"
AGENT_PACKAGE = "qemu-guest-agent"

#: Kernel modules in the order in which they can be inserted. ext4 is built into the kernel.
MODULES = (
    "virtio_ring",
    "virtio",
    "virtio_pci_legacy_dev",
    "virtio_pci_modern_dev",
    "virtio_pci",
    "virtio_blk",
    "virtio_console",
    "failover",
    "net_failover",
    "virtio_net",
    "button",
    "evdev",
)

#: Where each file of ``guest_files/`` goes in the guest.
FILES = {
    "inittab": "etc/inittab",
    "rc": "etc/rc",
    "os-release": "etc/os-release",
    "agent": "sbin/agent",
    "shutdown": "sbin/shutdown",
    "power-button": "etc/acpi/PWRF/00000080",
}

FILES_DIRECTORY = Path(__file__).with_name("guest_files")
CACHE_DIRECTORY = Path(__file__).parents[1] / ".cache" / "guest"

#: Without what takes a quarter of the start under emulation and no test is about: self-tests of ciphers,
#: probes for tracing, certificates for signed modules.
_NOT_NEEDED = "init_kprobe_trace,load_system_certificate_list"
FAST_START = f"mitigations=off cryptomgr.notests initcall_blacklist={_NOT_NEEDED}"

KERNEL_ARGUMENTS = f"console=ttyS0 quiet panic=-1 {FAST_START} rdinit=/sbin/init"


@dataclass(frozen=True)
class GuestImage:
    """The two files a tiny guest boots from."""

    kernel: Path
    initrd: Path

    def copy_to(self, directory: Path) -> "GuestImage":
        """Put copies into ``directory``, which QEMU's user can reach, unlike perhaps a clone under /root."""
        copies = GuestImage(directory / "vmlinuz", directory / "initrd")
        shutil.copyfile(self.kernel, copies.kernel)
        shutil.copyfile(self.initrd, copies.initrd)
        return copies


def guest_image(cache: Path = CACHE_DIRECTORY) -> GuestImage:
    """The guest's boot files, built if the cache has none for the present inputs; callers may be many."""
    cache.mkdir(parents=True, exist_ok=True)
    directory = cache / _inputs_digest()
    image = GuestImage(directory / "vmlinuz", directory / "initrd")
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not directory.exists():
            with tempfile.TemporaryDirectory(dir=cache) as scratch:
                built = Path(scratch) / "image"
                built.mkdir()
                _build(Path(scratch), GuestImage(built / "vmlinuz", built / "initrd"))
                built.rename(directory)
    return image


def _inputs_digest() -> str:
    """Changes whenever this module, the guest's files or the host's busybox change."""
    digest = hashlib.sha256()
    for path in (Path(__file__), *sorted(FILES_DIRECTORY.iterdir()), Path("/bin/busybox")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _build(scratch: Path, image: GuestImage) -> None:
    packages = scratch / "packages"
    download([depended_on(KERNEL_META_PACKAGE, r"linux-image-\d[\w.+-]*"), AGENT_PACKAGE], packages)
    (kernel,) = (packages / "boot").glob("vmlinuz-*")
    shutil.copyfile(kernel, image.kernel)
    root = scratch / "root"
    _make_root(root, packages)
    pack(root, image.initrd)


def pack(root: Path, archive: Path) -> None:
    """Make a directory the content of a RAM disk; the kernel unpacks several that follow one another."""
    files = subprocess.run(["find", ".", "-print0"], cwd=root, check=True, capture_output=True).stdout
    with archive.open("wb") as packed:
        cpio = ["cpio", "--quiet", "--null", "--create", "--format=newc", "--owner=+0:+0"]
        subprocess.run(cpio, cwd=root, input=files, stdout=packed, check=True)


def depended_on(meta_package: str, pattern: str) -> str:
    """The package of that name that the newest version of a meta package depends on."""
    text = apt("apt-cache", "show", "--no-all-versions", meta_package)
    found = re.search(rf"^(?:Pre-)?Depends:.*?({pattern})", text, re.MULTILINE)
    if found is None:
        raise RuntimeError(f"{meta_package} names no package like {pattern}: {text}")
    return found.group(1)


def download(names: list[str], target: Path) -> None:
    """Unpack Debian packages, without installing them, into ``target``."""
    with tempfile.TemporaryDirectory(dir=target.parent) as directory:
        apt("apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", *names, cwd=directory)
        for package in Path(directory).glob("*.deb"):
            subprocess.run(["dpkg-deb", "-x", str(package), str(target)], check=True)


def apt(*command: str, cwd: str | None = None) -> str:
    """Output of an apt command, tried again with fresh package lists when it fails."""
    for last in (False, True):
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
        if done.returncode == 0 and done.stdout:
            return done.stdout
        if not last:
            subprocess.run(["apt-get", "-q", "update"], check=True, capture_output=True)
    raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip() or 'no answer'}")


def _make_root(root: Path, packages: Path) -> None:
    for name in ("bin", "sbin", "etc", "lib/modules", "proc", "sys", "dev", "run", "tmp", "mnt", "var/run"):
        (root / name).mkdir(parents=True)
    for source, place in FILES.items():
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(FILES_DIRECTORY / source, root / place)
        (root / place).chmod(0o755)
    (root / "etc/passwd").write_text("root::0:0:root:/:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\n")
    _add_busybox(root)
    agent = packages / "usr/sbin/qemu-ga"
    shutil.copy(agent, root / "sbin/qemu-ga")
    add_libraries(root, agent)
    for module in MODULES:
        (found,) = (packages / "lib/modules").rglob(f"{module}.ko")
        shutil.copy(found, root / "lib/modules")
    (root / "lib/modules/order").write_text("".join(f"{module}\n" for module in MODULES))


def _add_busybox(root: Path) -> None:
    shutil.copy("/bin/busybox", root / "bin/busybox")
    applets = subprocess.run([root / "bin/busybox", "--list"], check=True, capture_output=True, text=True)
    for applet in applets.stdout.split():
        if applet != "busybox":
            (root / "bin" / applet).symlink_to("busybox")
    (root / "sbin/init").symlink_to("../bin/busybox")


def add_libraries(root: Path, program: Path) -> None:
    """Copy the shared libraries of ``program`` from the host, where QEMU's own packages brought them."""
    listing = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
    if "not found" in listing:
        raise RuntimeError(f"libraries of {program.name} are missing on this host:\n{listing}")
    for path in re.findall(r"(/\S+) \(0x", listing):
        place = root / os.path.relpath(path, "/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)
        place.chmod(0o755)
