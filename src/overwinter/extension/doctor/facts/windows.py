"""A Windows guest: services, .NET, VSS writers, crashes of the extension, a waiting reboot.

Its own programs and registry are asked; what they print is read in ``windows_outputs``. Written by their
documentation and never run on Windows. Python 3.6, standard library only.
"""

import sys
from typing import Dict, NamedTuple, Optional, Tuple

from overwinter.extension.doctor.facts.updates import Reboot
from overwinter.extension.doctor.facts.windows_outputs import (
    Writer,
    faulting,
    service_account,
    service_running,
    vss_writers,
)
from overwinter.extension.doctor.machine import Machine

AZURE_AGENT, QEMU_AGENT = "WindowsAzureGuestAgent", "QEMU-GA"
COM, MSDTC, VSS = "COMSysApp", "MSDTC", "VSS"

SERVICES = (AZURE_AGENT, QEMU_AGENT, COM, MSDTC, VSS)

#: The program of Azure's extension that takes the snapshot.
SNAPSHOT_PROGRAM = "IaaSBcdrExtension.exe"

#: ``sc`` ends with it when there is no such service.
_NO_SERVICE = 1060

_WEEK_MS = 7 * 24 * 3600 * 1000

_EVENTS = (
    "*[System[Provider[@Name='Application Error'] and TimeCreated[timediff(@SystemTime) <= {}]]]".format(
        _WEEK_MS
    )
)

_DOTNET = "SOFTWARE\\Microsoft\\NET Framework Setup\\NDP\\v4\\Full"

_REBOOT_KEYS = (
    "SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Component Based Servicing\\RebootPending",
    "SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\WindowsUpdate\\Auto Update\\RebootRequired",
)


class Service(NamedTuple):
    """``account`` is what it runs as, empty when that was not told."""

    running: bool
    account: str


def services(machine: Machine) -> Dict[str, Service]:
    """Those of ``SERVICES`` that are installed. Raises OSError, ValueError."""
    found = {}
    for name in SERVICES:
        ran = machine.run("sc.exe", "query", name)
        if ran is None:
            raise ValueError("there is no sc.exe")
        if ran.status == _NO_SERVICE:
            continue
        described = machine.run("sc.exe", "qc", name)
        account = service_account(described.output) if described else ""
        found[name] = Service(service_running(ran.output), account)
    return found


def writers(machine: Machine) -> Tuple[Writer, ...]:
    """Raises OSError, ValueError."""
    ran = machine.run("vssadmin.exe", "list", "writers", limit_s=20.0)
    if ran is None or ran.status != 0:
        raise ValueError("vssadmin.exe lists no writers; it wants an administrator")
    return tuple(vss_writers(ran.output))


def faults(machine: Machine) -> Tuple[str, ...]:
    """Times at which the program that takes snapshots crashed in the last week.

    Raises OSError, ValueError.
    """
    ran = machine.run("wevtutil.exe", "qe", "Application", "/q:" + _EVENTS, "/f:text", "/c:50", "/rd:true")
    if ran is None or ran.status != 0:
        raise ValueError("wevtutil.exe reads no application log")
    return tuple(faulting(ran.output, SNAPSHOT_PROGRAM))


def dotnet() -> Optional[int]:
    """The release number of .NET Framework 4, null when it is not there. Raises OSError."""
    release = _value(_DOTNET, "Release")
    return int(release) if release is not None else None


def reboot() -> Reboot:
    """Raises OSError."""
    return Reboot(tuple("HKLM\\" + key for key in _REBOOT_KEYS if _value(key, None) is not None))


def _value(key: str, name: Optional[str]) -> Optional[str]:
    """A value of the registry as text, or that of the key itself; null when there is none."""
    if sys.platform != "win32":
        raise OSError("no registry")
    import winreg

    try:
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, key) as opened:
            return str(winreg.QueryValueEx(opened, name)[0]) if name is not None else ""
    except FileNotFoundError:
        return None
