"""Which accelerator works on this machine: found out by booting a kernel with a time limit.

``/dev/kvm`` may exist and yet hang or crawl as soon as a real kernel runs on it (nested or broken
virtualization), so its presence proves nothing.
"""

import os
import subprocess
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

#: A kernel without a root file system panics within about one second under KVM, three under emulation.
BOOT_LIMIT_SECONDS = 5.0


class Accelerator(StrEnum):
    """Accelerators by the ``type`` of a libvirt domain that uses them."""

    KVM = "kvm"
    EMULATION = "qemu"


def accelerator(kernel: Path) -> Accelerator:
    """The fastest accelerator on which ``kernel`` boots; tried once per boot of this machine and kernel."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    known = kernel.with_name(f"accelerator-{boot}")
    if not known.exists():
        scratch = known.with_name(f"{known.name}-{os.getpid()}")
        scratch.write_text(_try(kernel))
        scratch.rename(known)
    return Accelerator(known.read_text())


def _try(kernel: Path) -> Accelerator:
    if os.access("/dev/kvm", os.R_OK | os.W_OK) and boots("kvm", kernel, BOOT_LIMIT_SECONDS):
        return Accelerator.KVM
    return Accelerator.EMULATION


def boots(accel: str, kernel: Path, limit: float) -> bool:
    """Whether ``kernel`` comes up within ``limit`` seconds on QEMU's accelerator ``accel``.

    Without a root file system it panics once its start-up is done, and resets; QEMU ends with 0 at a reset.
    """
    command = [
        "qemu-system-x86_64",
        "-accel",
        accel,
        "-m",
        "128",
        "-nodefaults",
        "-display",
        "none",
        "-no-reboot",
    ]
    command += ["-kernel", str(kernel), "-append", "panic=-1 quiet"]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet)
    try:
        return process.wait(limit) == 0
    except subprocess.TimeoutExpired:
        process.kill()
        # A process stuck inside the kernel's KVM code may end late or never.
        with suppress(subprocess.TimeoutExpired):
            process.wait(2)
        return False
