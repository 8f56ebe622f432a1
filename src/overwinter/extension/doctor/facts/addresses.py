"""How the machine gets its addresses, and whether a DHCP server named the host (option 245).

Reads the leases of dhclient, systemd-networkd and NetworkManager, what their configuration and that of
ifupdown and netplan ask for, and the routes.

Python 3.6, standard library only.
"""

import calendar
import configparser
import math
import re
import time
from typing import Iterator, List, NamedTuple, Optional, Tuple

from overwinter.extension.doctor.machine import Machine

_DHCLIENT = ("/var/lib/dhcp", "/var/lib/dhclient")
_NETWORKD_LEASES = "/run/systemd/netif/leases"
_MANAGER_DEVICES = "/run/NetworkManager/devices"
_MANAGER_LEASES = "/var/lib/NetworkManager"
_ROUTES = "/proc/net/route"


class Lease(NamedTuple):
    """``host`` is what option 245 named, null when the server sent none.

    ``expired``: it is a thing of the past. ``in_use``: its client keeps it no longer than it uses it.
    """

    path: str
    host: Optional[str]
    expired: bool
    in_use: bool


class Addresses(NamedTuple):
    """``static`` and ``dynamic`` are the lines of configuration that say so.

    ``routes`` are the addresses that have one of their own.
    """

    leases: Tuple[Lease, ...]
    static: Tuple[str, ...]
    dynamic: Tuple[str, ...]
    routes: Tuple[str, ...]


def read(machine: Machine) -> Addresses:
    """Raises OSError."""
    leases = list(_dhclient(machine)) + list(_networkd(machine)) + list(_manager(machine))
    static: List[str] = []
    dynamic: List[str] = []
    for where, is_dynamic in _configured(machine):
        (dynamic if is_dynamic else static).append(where)
    return Addresses(tuple(leases), tuple(static), tuple(dynamic), tuple(_routes(machine)))


def _dhclient(machine: Machine) -> Iterator[Lease]:
    for directory in _DHCLIENT:
        for name in machine.names(directory, "*.lease*"):
            path = directory + "/" + name
            last = {}
            for block in re.findall(r"lease\s*\{(.*?)\}", machine.read_text(path) or "", re.DOTALL):
                interface = re.search(r"interface \"(.*?)\";", block)
                last[interface.group(1) if interface else ""] = block
            for block in last.values():
                host = re.search(r"option \S*245 ([0-9a-f:.]+);", block)
                yield Lease(
                    path,
                    _address(host.group(1)) if host else None,
                    _expires(block) < machine.now,
                    in_use=False,
                )


def _expires(block: str) -> float:
    """When a lease of dhclient ends, in either of the forms it writes times in; some never end."""
    epoch = re.search(r"expire epoch (\d+)", block)
    if epoch:
        return int(epoch.group(1))
    written = re.search(r"expire \d (\d+/\d+/\d+ \d+:\d+:\d+)", block)
    return calendar.timegm(time.strptime(written.group(1), "%Y/%m/%d %H:%M:%S")) if written else math.inf


def _networkd(machine: Machine) -> Iterator[Lease]:
    """The service removes a lease that has ended."""
    for name in machine.names(_NETWORKD_LEASES):
        path = _NETWORKD_LEASES + "/" + name
        host = re.search(r"^OPTION_245=(\S+)", machine.read_text(path) or "", re.MULTILINE)
        yield Lease(path, _address(host.group(1)) if host else None, expired=False, in_use=True)


def _manager(machine: Machine) -> Iterator[Lease]:
    """A device in use names its connection, and that the file of the lease."""
    for name in machine.names(_MANAGER_DEVICES):
        device = machine.read_text(_MANAGER_DEVICES + "/" + name) or ""
        connection = re.search(r"^connection-uuid=(\S+)", device, re.MULTILINE)
        leases = (
            machine.names(_MANAGER_LEASES, "*{}*.lease".format(connection.group(1))) if connection else []
        )
        told = [device] if "[dhcp4]" in device else []
        told += [machine.read_text(_MANAGER_LEASES + "/" + lease) or "" for lease in leases]
        if told:
            pattern = r"^(?:OPTION_245|(?:private|unknown|option)_245)=(\S+)"
            host = re.search(pattern, "\n".join(told), re.MULTILINE)
            path = _MANAGER_LEASES + "/" + leases[0] if leases else _MANAGER_DEVICES + "/" + name
            yield Lease(path, _address(host.group(1)) if host else None, False, "[dhcp4]" in device)


def _address(written: str) -> Optional[str]:
    """Four bytes, as the clients write them: ``a8:3f:81:10``, ``a83f8110`` or ``168.63.129.16``."""
    if re.match(r"^\d+(\.\d+){3}$", written):
        return written
    digits = "".join(part.zfill(2) for part in written.split(":"))
    if not re.match(r"^[0-9a-fA-F]{8}$", digits):
        return None
    return ".".join(str(byte) for byte in bytes.fromhex(digits))


def _configured(machine: Machine) -> Iterator[Tuple[str, bool]]:
    """Lines that ask for an address, with whether it is to come from DHCP."""
    for path in ["/etc/network/interfaces", *_in(machine, "/etc/network/interfaces.d", "*")]:
        for line in (machine.read_text(path) or "").splitlines():
            found = re.match(r"\s*iface\s+(\S+)\s+inet\s+(dhcp|static|manual)", line)
            if found and found.group(1) != "lo" and found.group(2) != "manual":
                yield "{}: {}".format(path, line.strip()), found.group(2) == "dhcp"
    for directory in ("/etc/systemd/network", "/run/systemd/network"):
        for path in _in(machine, directory, "*.network"):
            for line in (machine.read_text(path) or "").splitlines():
                found = re.match(r"\s*(DHCP|Address)\s*=\s*(\S+)", line)
                if found and (
                    found.group(1) == "Address" or found.group(2).lower() in ("yes", "true", "ipv4", "both")
                ):
                    yield "{}: {}".format(path, line.strip()), found.group(1) == "DHCP"
    for path in _in(machine, "/etc/netplan", "*.yaml"):
        for line in (machine.read_text(path) or "").splitlines():
            found = re.match(r"\s*(dhcp4|addresses):\s*(\S*)", line)
            if found and (found.group(1) == "addresses" or found.group(2).lower() in ("true", "yes", "on")):
                yield "{}: {}".format(path, line.strip()), found.group(1) == "dhcp4"
    yield from _configured_manager(machine)
    for path in _in(machine, "/etc/sysconfig/network-scripts", "ifcfg-*"):
        found = re.search(r"^BOOTPROTO=[\"']?(\w+)", machine.read_text(path) or "", re.MULTILINE)
        if found and not path.endswith("-lo"):
            yield "{}: {}".format(path, found.group(0)), found.group(1).lower() in ("dhcp", "bootp")


def _configured_manager(machine: Machine) -> Iterator[Tuple[str, bool]]:
    for path in _in(machine, "/etc/NetworkManager/system-connections", "*"):
        parser = configparser.ConfigParser(interpolation=None, strict=False)
        try:
            parser.read_string(machine.read_text(path) or "")
        except configparser.Error:
            continue  # NetworkManager does not understand it either
        method = parser.get("ipv4", "method", fallback="")
        if method in ("auto", "manual") and parser.get("connection", "type", fallback="") != "loopback":
            yield "{}: method={}".format(path, method), method == "auto"


def _in(machine: Machine, directory: str, pattern: str) -> List[str]:
    return [directory + "/" + name for name in machine.names(directory, pattern)]


def _routes(machine: Machine) -> Iterator[str]:
    """Destinations of single addresses, and gateways: what the agent looks its host up in."""
    for line in (machine.read_text(_ROUTES) or "").splitlines()[1:]:
        fields = line.split()
        if len(fields) > 7 and fields[7] == "FFFFFFFF":
            yield _kernel_address(fields[1])
        if len(fields) > 7 and fields[2] != "00000000":
            yield _kernel_address(fields[2])


def _kernel_address(digits: str) -> str:
    """The kernel writes the four bytes as a number of this machine's order, which is little-endian."""
    return ".".join(str(byte) for byte in reversed(bytes.fromhex(digits)))
