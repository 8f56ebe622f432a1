"""Which system this is, and on which platform it runs.

Python 3.6, standard library only.
"""

import platform
import shlex
from typing import Dict, NamedTuple, Optional

from overwinter.extension.doctor.machine import Machine

#: The asset tag that every VM on Azure shows in its firmware tables.
_AZURE_TAG = "7783-7084-3265-9085-8269-3286-77"

AZURE, KVM, OTHER = "azure", "kvm", "other"

_VIRTIO_PORTS = "/dev/virtio-ports"

_ELF = b"\x7fELF"


class System(NamedTuple):
    """``id`` and ``version`` are those of os-release.

    ``bits`` is 32 or 64, null when it could not be told.
    """

    id: str
    version: str
    name: str
    hostname: str
    platform: str
    bits: Optional[int]


def read(machine: Machine) -> System:
    """Raises OSError."""
    release = _release(machine)
    return System(
        id=release.get("ID", ""),
        version=release.get("VERSION_ID", ""),
        name=release.get("PRETTY_NAME", release.get("NAME", "")),
        hostname=_hostname(machine),
        platform=_platform(machine),
        bits=_bits(machine),
    )


def _release(machine: Machine) -> Dict[str, str]:
    text = machine.read_text("/etc/os-release") or machine.read_text("/usr/lib/os-release") or ""
    values = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals and not name.startswith("#"):
            try:
                values[name.strip()] = " ".join(shlex.split(value))
            except ValueError:  # a quote that does not end
                values[name.strip()] = value.strip("\"' ")
    return values


def _hostname(machine: Machine) -> str:
    paths = ("/proc/sys/kernel/hostname", "/etc/hostname")
    return next((text.strip() for text in map(machine.read_text, paths) if text and text.strip()), "")


def _platform(machine: Machine) -> str:
    def firmware(name: str) -> str:
        return (machine.read_text("/sys/class/dmi/id/" + name) or "").strip()

    if firmware("chassis_asset_tag") == _AZURE_TAG:
        return AZURE
    if "QEMU" in (firmware("sys_vendor"), firmware("chassis_vendor")) or firmware("product_name") == "KVM":
        return KVM
    return KVM if machine.exists(_VIRTIO_PORTS) else OTHER


def _bits(machine: Machine) -> Optional[int]:
    """By the shell: a kernel of 64 bits may carry a system of 32."""
    shell = machine.read_bytes("/bin/sh", most_bytes=64 * 1024 * 1024)
    if shell is None or not shell.startswith(_ELF):
        return None
    return {b"\x01": 32, b"\x02": 64}.get(shell[4:5])


def read_windows() -> System:
    """A Windows guest, as Python itself knows it. Whether it runs on Azure or on KVM is not asked."""
    return System("windows", platform.version(), platform.platform(), platform.node(), OTHER, None)
