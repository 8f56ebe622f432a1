"""The address that Azure's agent finds its host at, and whether it answers there.

Python 3.6, standard library only.
"""

import errno
import re
import socket
import time
from functools import partial
from typing import List, NamedTuple, Optional, Sequence, Tuple
from urllib.parse import urlsplit

from overwinter.extension.doctor.facts.source import Source
from overwinter.extension.doctor.facts.waagent import LIBRARY
from overwinter.extension.doctor.machine import Machine
from overwinter.extension.doctor.text import Unknown

#: Where every host of Azure answers its guests; Overwinter's does as well.
WELL_KNOWN = "168.63.129.16"

#: The wire server, the port that only the guide names, and the host's plug-in.
PORTS = (80, 443, 32526)

_LIMIT_S = 3.0

#: Storage that packages come from and status goes to; more addresses tell nothing new.
_MOST_STORES = 3

OPEN, REFUSED, SILENT, UNREACHABLE = "open", "refused", "silent", "unreachable"


class Probe(NamedTuple):
    """What became of connecting to a port."""

    address: str
    port: int
    outcome: str
    detail: str

    @property
    def evidence(self) -> str:
        """For people."""
        return "{}:{}: {}".format(self.address, self.port, self.detail)


class Endpoint(NamedTuple):
    """``stores`` are those of the last goal state, null when there was none."""

    wire: Probe
    https: Probe
    plugin: Probe
    stores: Optional[Tuple[Probe, ...]]


def address_of(machine: Machine) -> str:
    """Where the agent found its host last, else the well-known address. Raises OSError."""
    return (machine.read_text(LIBRARY + "/WireServerEndpoint") or "").strip() or WELL_KNOWN


def read(machine: Machine, address: str, ports: Sequence[int]) -> Endpoint:
    """Connect to each port. Raises OSError."""
    places = [(address, port) for port in ports]
    wire, https, plugin, *stores = _probes(places + list(_stores(machine)))
    return Endpoint(wire, https, plugin, tuple(stores) or None)


def _probes(places: Sequence[Tuple[str, int]]) -> List[Probe]:
    """Connect to all at the same time. Looking up a name may take long, and cannot be cut short."""
    trying = [(place, Source(partial(probe, *place))) for place in places]
    by = time.monotonic() + 2 * _LIMIT_S
    found = []
    for (address, port), source in trying:
        fact = source.fact(by)
        found.append(Probe(address, port, SILENT, "no answer") if isinstance(fact, Unknown) else fact)
    return found


def probe(address: str, port: int) -> Probe:
    """Connect and hang up."""
    try:
        socket.create_connection((address, port), timeout=_LIMIT_S).close()
    except socket.timeout:
        return Probe(address, port, SILENT, "no answer within {:.0f} s".format(_LIMIT_S))
    except OSError as error:
        outcome = REFUSED if error.errno == errno.ECONNREFUSED else UNREACHABLE
        return Probe(address, port, outcome, error.strerror or str(error))
    return Probe(address, port, OPEN, "open")


def _stores(machine: Machine) -> Sequence[Tuple[str, int]]:
    """Where the last goal state sends status to and has packages from."""
    names = machine.names(LIBRARY, "ExtensionsConfig*.xml") + machine.names(LIBRARY, "*.manifest.xml")
    found = []
    for name in names:
        for url in re.findall(r"https?://[^\s<>\"'&]+", machine.read_text(LIBRARY + "/" + name) or ""):
            try:
                split = urlsplit(url)
                place = (split.hostname or "", split.port or (443 if split.scheme == "https" else 80))
            except ValueError:
                continue  # no address anybody could connect to
            if place[0] and place not in found:
                found.append(place)
    return found[:_MOST_STORES]
