"""The guest's serial console: how tests reach a guest that has no agent."""

import os
import re
import select
import time
from uuid import uuid4
from xml.etree import ElementTree

import libvirt


def console_run(domain: libvirt.virDomain, line: str, limit: float) -> str:
    """Run a line in the root shell on the guest's serial port, once, and return what it printed.

    Raises ``TimeoutError`` when no shell is there, or the line has not ended, after ``limit`` seconds.
    """
    return console_run_on(console_device(domain), line, limit)


def console_device(domain: libvirt.virDomain) -> str:
    """The terminal on the host that is a running guest's serial port; it works while libvirt is away."""
    device = ElementTree.fromstring(domain.XMLDesc()).find("./devices/serial/source")
    if device is None:
        raise ValueError(f"{domain.name()} has no serial console or does not run")
    return device.attrib["path"]


def console_run_on(device: str, line: str, limit: float) -> str:
    """Like `console_run`, by the terminal."""
    port = os.open(device, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        deadline = time.monotonic() + limit
        # Each mark is typed with quotes inside, so that the echo of what was typed is not taken for it.
        ready, begin, end = (f"{word}-{uuid4().hex[:8]}" for word in ("ready", "begin", "end"))
        # What is typed before the shell runs may be lost, so this is repeated; the line itself is not.
        os.write(port, f"\necho '{ready[:5]}'{ready[5:]}\n".encode())
        while not _read_until(port, ready, min(deadline, time.monotonic() + 1.0)):
            if time.monotonic() > deadline:
                raise TimeoutError(f"no shell on {device} after {limit:.0f} s")
            os.write(port, f"\necho '{ready[:5]}'{ready[5:]}\n".encode())
        os.write(port, f"echo '{begin[:5]}'{begin[5:]}; {line}; echo '{end[:3]}'{end[3:]}\n".encode())
        seen = _read_until(port, end, deadline)
        if not seen:
            raise TimeoutError(f"still running on {device} after {limit:.0f} s: {line}")
    finally:
        os.close(port)
    found = re.search(rf"^{begin}\n(.*?){end}", seen.replace("\r", ""), re.DOTALL | re.MULTILINE)
    if found is None:
        raise ValueError(f"the console {device} is garbled: {seen!r}")
    return found.group(1)


def _read_until(port: int, mark: str, deadline: float) -> str:
    """What came from the port up to and with ``mark``; empty when it does not come in time."""
    seen = ""
    while time.monotonic() < deadline:
        if select.select([port], [], [], 0.1)[0]:
            seen += os.read(port, 65536).decode(errors="replace")
        if mark in seen:
            return seen
    return ""
