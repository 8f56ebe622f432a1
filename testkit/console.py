"""The guest's serial console: how tests reach a guest that has no agent."""

import os
import select
import time
from xml.etree import ElementTree

import libvirt


def console_run(domain: libvirt.virDomain, line: str, limit: float) -> str:
    """Type a command into the root shell on the guest's first serial port and return what it printed.

    The shell starts when a key is pressed and what is printed while nobody listens is lost, so the command is
    typed again until its end mark comes back: it may run more than once. Raises ``TimeoutError``.
    """
    device = ElementTree.fromstring(domain.XMLDesc()).find("./devices/serial/source")
    if device is None:
        raise ValueError(f"{domain.name()} has no serial console or does not run")
    begin, end = "begin-of-answer", "end-of-answer"
    # Typed with a quote inside, so that the echo of the command is no mark.
    typed = f"\necho begin-of'-'answer; {line}; echo end-of'-'answer\n".encode()
    port = os.open(device.attrib["path"], os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        deadline = time.monotonic() + limit
        seen = ""
        while time.monotonic() < deadline:
            os.write(port, typed)
            patience = time.monotonic() + 1.0
            while time.monotonic() < patience:
                if select.select([port], [], [], 0.1)[0]:
                    seen += os.read(port, 65536).decode(errors="replace")
                if begin in seen and end in seen.rpartition(begin)[2]:
                    return seen.rpartition(begin)[2].partition(end)[0].replace("\r\n", "\n").strip("\n")
    finally:
        os.close(port)
    raise TimeoutError(
        f"no shell on the console of {domain.name()} within {limit:.0f} s; seen: {seen[-500:]!r}"
    )
