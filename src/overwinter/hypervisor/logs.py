"""Where libvirt and its QEMUs write their logs, and which versions they are."""

from dataclasses import dataclass
from pathlib import Path

from overwinter.hypervisor.connection import Hypervisor

_DIRECTORY = Path("/var/log/libvirt")

#: Logs of libvirt's daemons where they do not log to the journal (``log_outputs`` in their settings).
DAEMON_LOGS = (_DIRECTORY / "libvirtd.log", _DIRECTORY / "virtqemud.log")

#: The same daemons as systemd knows them.
DAEMON_UNITS = ("libvirtd", "virtqemud", "virtlogd")


@dataclass(frozen=True)
class HypervisorVersions:
    """As in ``9.0.0``."""

    libvirt: str
    qemu: str


def domain_log(name: str) -> Path:
    """What QEMU said of the domain of that name, since it was first started."""
    return _DIRECTORY / "qemu" / Path(f"{name}.log").name


def versions(hypervisor: Hypervisor) -> HypervisorVersions:
    """The versions of a hypervisor. Raises HypervisorUnavailable."""
    with hypervisor.session() as connection:
        return HypervisorVersions(_version(connection.getLibVersion()), _version(connection.getVersion()))


def _version(number: int) -> str:
    """libvirt's way to write versions: a million, a thousand, one."""
    return f"{number // 1_000_000}.{number // 1_000 % 1_000}.{number % 1_000}"
