"""All facts of a machine, asked at the same time, each source for itself.

What a source may not see, cannot understand or does not get in time is unknown, with the reason; the
others are not touched by it. Python 3.6, standard library only.
"""

import time
from typing import Callable, Dict, NamedTuple, Optional, Sequence, Tuple

from overwinter.extension.doctor.facts import (
    addresses,
    endpoint,
    file_systems,
    handlers,
    processes,
    proxy,
    qemu_agent,
    scripts,
    space,
    system,
    updates,
    waagent,
    waagent_conf,
    windows,
)
from overwinter.extension.doctor.facts.addresses import Addresses
from overwinter.extension.doctor.facts.endpoint import Endpoint
from overwinter.extension.doctor.facts.file_systems import FileSystems
from overwinter.extension.doctor.facts.handlers import Handler
from overwinter.extension.doctor.facts.processes import Process
from overwinter.extension.doctor.facts.proxy import Proxies
from overwinter.extension.doctor.facts.qemu_agent import QemuAgent
from overwinter.extension.doctor.facts.scripts import Scripts
from overwinter.extension.doctor.facts.source import Source
from overwinter.extension.doctor.facts.space import Space
from overwinter.extension.doctor.facts.system import AZURE, System
from overwinter.extension.doctor.facts.updates import Reboot
from overwinter.extension.doctor.facts.waagent import WaAgent
from overwinter.extension.doctor.facts.waagent_conf import Options
from overwinter.extension.doctor.facts.windows import Service
from overwinter.extension.doctor.facts.windows_outputs import Writer
from overwinter.extension.doctor.machine import Machine
from overwinter.extension.doctor.text import Fact, NotKnown, Unknown, need, say

#: Seconds until a source that does not come to an end is left behind.
LIMIT_S = 30.0

_NOT_ASKED = Unknown(say("unknown-not-asked"))


class Facts(NamedTuple):
    """What could be known, each fact or why not. ``address`` is where the host was looked for."""

    windows: bool
    address: str
    system: Fact[System]
    processes: Fact[Tuple[Process, ...]] = _NOT_ASKED
    updates: Fact[Tuple[str, ...]] = _NOT_ASKED
    reboot: Fact[Reboot] = _NOT_ASKED
    waagent: Fact[WaAgent] = _NOT_ASKED
    options: Fact[Options] = _NOT_ASKED
    qemu_agent: Fact[QemuAgent] = _NOT_ASKED
    handlers: Fact[Tuple[Handler, ...]] = _NOT_ASKED
    endpoint: Fact[Endpoint] = _NOT_ASKED
    addresses: Fact[Addresses] = _NOT_ASKED
    proxies: Fact[Proxies] = _NOT_ASKED
    scripts: Fact[Scripts] = _NOT_ASKED
    file_systems: Fact[FileSystems] = _NOT_ASKED
    space: Fact[Tuple[Space, ...]] = _NOT_ASKED
    services: Fact[Dict[str, Service]] = _NOT_ASKED
    dotnet: Fact[Optional[int]] = _NOT_ASKED
    writers: Fact[Tuple[Writer, ...]] = _NOT_ASKED
    faults: Fact[Tuple[str, ...]] = _NOT_ASKED


def own(
    processes: "Fact[Tuple[Process, ...]]", is_agent: Callable[[Process], bool]
) -> Optional[Tuple[Process, ...]]:
    """Those of an agent; null when no processes are known."""
    if isinstance(processes, Unknown):
        return None
    return tuple(process for process in processes if process.alive and is_agent(process))


def collect(
    machine: Machine, address: Optional[str], ports: Sequence[int], limit_s: float = LIMIT_S
) -> Facts:
    """The facts of a Linux machine.

    ``address``: the host to connect to. Without one it is where the machine itself knows it; then a copy of a
    machine connects to nothing, nor does a machine that has neither Azure's agent nor its platform.
    """
    by = time.monotonic() + limit_s
    waiting = Source(lambda: updates.updates(machine))
    restart = Source(lambda: updates.reboot(machine))
    here = Source(lambda: system.read(machine))
    listed = Source(lambda: processes.read(machine))
    options = Source(lambda: waagent_conf.read(machine))
    installed = Source(lambda: handlers.read(machine))
    addressed = Source(lambda: addresses.read(machine))
    scripted = Source(lambda: scripts.read(machine))
    mounted = Source(lambda: file_systems.read(machine))
    room = Source(lambda: space.read(machine))
    azure = Source(lambda: waagent.read(machine))
    told = Source(lambda: address or endpoint.address_of(machine)).fact(by)
    where = endpoint.WELL_KNOWN if isinstance(told, Unknown) else told
    running = listed.fact(by)

    def connect() -> Endpoint:
        if address is None and machine.foreign:
            raise NotKnown(say("unknown-from-outside"))
        if address is None and need(azure.fact(by)).program is None and need(here.fact(by)).platform != AZURE:
            raise NotKnown(say("unknown-not-asked"))
        return endpoint.read(machine, where, ports)

    def proxies() -> Proxies:
        return proxy.read(
            machine, need(options.fact(by)), need(azure.fact(by)).unit, own(running, waagent.is_agent) or ()
        )

    qemu = Source(lambda: qemu_agent.read(machine, own(running, qemu_agent.is_agent)))
    proxied = Source(proxies)
    connected = Source(connect)
    return Facts(
        windows=False,
        address=where,
        system=here.fact(by),
        processes=running,
        updates=waiting.fact(by),
        reboot=restart.fact(by),
        waagent=azure.fact(by),
        options=options.fact(by),
        qemu_agent=qemu.fact(by),
        handlers=installed.fact(by),
        endpoint=connected.fact(by),
        addresses=addressed.fact(by),
        proxies=proxied.fact(by),
        scripts=scripted.fact(by),
        file_systems=mounted.fact(by),
        space=room.fact(by),
    )


def collect_windows(
    machine: Machine, address: Optional[str], ports: Sequence[int], limit_s: float = LIMIT_S
) -> Facts:
    """The facts of a Windows machine. Never run on one."""
    by = time.monotonic() + limit_s
    where = address or endpoint.WELL_KNOWN
    connected = Source(lambda: endpoint.read(machine, where, ports))
    restart = Source(windows.reboot)
    services = Source(lambda: windows.services(machine))
    dotnet = Source(windows.dotnet)
    writers = Source(lambda: windows.writers(machine))
    faults = Source(lambda: windows.faults(machine))
    here = Source(system.read_windows)
    return Facts(
        windows=True,
        address=where,
        system=here.fact(by),
        reboot=restart.fact(by),
        endpoint=connected.fact(by),
        services=services.fact(by),
        dotnet=dotnet.fact(by),
        writers=writers.fact(by),
        faults=faults.fact(by),
    )
