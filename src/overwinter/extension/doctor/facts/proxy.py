"""Proxies that the agent or its extensions are told to use.

Python 3.6, standard library only.
"""

import shlex
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from overwinter.extension.doctor.facts.processes import Process
from overwinter.extension.doctor.facts.units import Unit
from overwinter.extension.doctor.facts.waagent_conf import PATH, Options
from overwinter.extension.doctor.machine import Machine

_ENVIRONMENT = "/etc/environment"

_MOST_ENVIRONMENT_BYTES = 256 * 1024

_NAMES = ("http_proxy", "https_proxy", "all_proxy")


class Proxy(NamedTuple):
    """A proxy that is set, where, and under which name."""

    where: str
    name: str
    url: str


class Proxies(NamedTuple):
    """``exempt`` are the addresses that go past all of them."""

    set: Tuple[Proxy, ...]
    exempt: Tuple[str, ...]


def read(machine: Machine, options: Options, unit: Optional[Unit], processes: Sequence[Process]) -> Proxies:
    """Raises OSError."""
    found: List[Proxy] = []
    exempt: List[str] = []
    host, port = options.get("HttpProxy.Host"), options.get("HttpProxy.Port")
    if host:
        found.append(Proxy(PATH, "HttpProxy.Host", host + (":" + port if port else "")))
    for where, variables in _environments(machine, unit, processes):
        for name, value in variables.items():
            if name.lower() in _NAMES and value:
                found.append(Proxy(where, name, value))
            elif name.lower() == "no_proxy":
                exempt += [part.strip() for part in value.split(",") if part.strip()]
    return Proxies(tuple(found), tuple(exempt))


def _environments(
    machine: Machine, unit: Optional[Unit], processes: Sequence[Process]
) -> Iterator[Tuple[str, Dict[str, str]]]:
    yield _ENVIRONMENT, _assignments((machine.read_text(_ENVIRONMENT) or "").splitlines())
    if unit is not None:
        yield unit.path, _assignments([word for line in unit.environment for word in shlex.split(line)])
    for process in processes:
        try:
            content = (
                machine.read_bytes("/proc/{}/environ".format(process.pid), _MOST_ENVIRONMENT_BYTES) or b""
            )
        except ProcessLookupError:
            continue
        variables = content.decode("utf-8", errors="replace").split("\0")
        yield "process {}".format(process.pid), _assignments(variables)


def _assignments(lines: Sequence[str]) -> Dict[str, str]:
    pairs = (line.partition("=") for line in lines if not line.lstrip().startswith("#"))
    return {
        name.replace("export ", "").strip(): value.strip().strip("\"'")
        for name, equals, value in pairs
        if equals
    }
