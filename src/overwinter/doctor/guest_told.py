"""Asking inside the guest: one small program per kind of system, whose lines are read strictly.

Each line is ``name=value``; what else a guest prints is passed over. A guest can lie about itself only.
"""

import base64
import re
from collections.abc import Callable, Mapping
from importlib import resources
from typing import TypeVar

from overwinter.doctor.facts import LinuxGuest, WindowsGuest, WindowsService
from overwinter.guest.agent import GuestAgent
from overwinter.guest.replies import label
from overwinter.model.errors import GuestAgentInconsistent

T = TypeVar("T")

#: Lines and bytes of an answer that are looked at.
MOST_LINES = 200
MOST_BYTES = 64 * 1024

#: Seconds for the program: Windows starts its shell slowly.
LINUX_S = 14.0
WINDOWS_S = 18.0

_LINE = re.compile(r"([a-z][a-z.]{0,30}(?:\.[A-Za-z]{1,30})?)=(.*)")
_NUMBER = re.compile(r"\d{1,9}")

Told = Mapping[str, list[str]]


def linux(agent: GuestAgent) -> LinuxGuest:
    """Ask a Linux guest. Raises the errors of `GuestAgent.run`."""
    script = resources.files(__package__).joinpath("guest_linux.sh").read_text(encoding="utf-8")
    done = agent.run(["/bin/sh", "-c", script], LINUX_S)
    return read_linux(told(done.output))


def windows(agent: GuestAgent) -> WindowsGuest:
    """Ask a Windows guest. Raises the errors of `GuestAgent.run`."""
    script = resources.files(__package__).joinpath("guest_windows.ps1").read_text(encoding="utf-8")
    encoded = base64.b64encode(script.encode("utf-16-le")).decode()
    command = ["powershell.exe", "-NoProfile", "-NonInteractive", "-EncodedCommand", encoded]
    return read_windows(told(agent.run(command, WINDOWS_S).output))


def told(output: bytes) -> Told:
    """The lines of an answer by name. Raises GuestAgentInconsistent when it says nothing at all."""
    found: dict[str, list[str]] = {}
    for line in output[:MOST_BYTES].decode(errors="replace").splitlines()[:MOST_LINES]:
        match = _LINE.fullmatch(line.strip())
        if match:
            found.setdefault(match[1], []).append(label(match[2]).strip())
    if not found:
        raise GuestAgentInconsistent("the guest told nothing that can be read")
    return found


def read_linux(lines: Told) -> LinuxGuest:
    """What the lines of a Linux guest mean."""
    return LinuxGuest(
        reboot=_one(lines, "reboot", _flag),
        packaging=tuple(sorted(set(lines.get("packaging", [])))),
        interrupted=_one(lines, "interrupted", _flag),
        python=_one(lines, "python", str),
        restart=_one(lines, "restart", str),
        state=_one(lines, "state", str),
        extensions=_one(lines, "extensions", str),
        provisioning=_one(lines, "provisioning", str),
        crashes=_one(lines, "crashes", _number),
        denials=_one(lines, "denials", _number),
    )


def read_windows(lines: Told) -> WindowsGuest:
    """What the lines of a Windows guest mean."""
    services = {
        name.removeprefix("service."): service
        for name, values in lines.items()
        if name.startswith("service.") and (service := _service(values[0])) is not None
    }
    writers = [_number(value) for value in lines.get("writer", [])]
    return WindowsGuest(
        reboot=_one(lines, "reboot", _flag),
        updating=_one(lines, "updating", _flag),
        dotnet=_one(lines, "dotnet", _number),
        services=services,
        writers=tuple(state for state in writers if state is not None) or None,
        faults=_one(lines, "faults", _number),
        blocked=_one(lines, "blocked", _number),
        antivirus=_one(lines, "antivirus", _flag),
        excluded=_one(lines, "excluded", _flag),
    )


def _one(lines: Told, name: str, reader: Callable[[str], T]) -> T | None:
    """The value that a guest told once; null when it did not, or contradicts itself."""
    values = set(lines.get(name, []))
    return reader(values.pop()) if len(values) == 1 else None


def _flag(value: str) -> bool | None:
    return {"yes": True, "no": False}.get(value)


def _number(value: str) -> int | None:
    return int(value) if _NUMBER.fullmatch(value) and value.isascii() else None


def _service(value: str) -> WindowsService | None:
    parts = value.split(",", 2)
    return WindowsService(*parts) if len(parts) == 3 else None
