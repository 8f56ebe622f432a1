"""QEMU's guest agent: is it installed, does it run, has it its port, what may it be asked?

Python 3.6, standard library only.
"""

import configparser
import posixpath
import re
import shlex
from typing import FrozenSet, List, NamedTuple, Optional, Sequence, Tuple

from overwinter.extension.doctor.facts.processes import Process
from overwinter.extension.doctor.facts.units import Unit, find
from overwinter.extension.doctor.facts.versions import in_debian
from overwinter.extension.doctor.machine import Machine

PROGRAM = "qemu-ga"

#: The channel that libvirt talks to it through.
PORT = "/dev/virtio-ports/org.qemu.guest_agent.0"

_PROGRAMS = ("/usr/sbin/qemu-ga", "/usr/bin/qemu-ga")

_UNITS = ("qemu-guest-agent", "qemu-ga")

#: Of the agent itself.
CONFIGURATION = "/etc/qemu/qemu-ga.conf"

#: Arguments of the services of Debian and of Red Hat.
_DEFAULTS = ("/etc/default/qemu-guest-agent", "/etc/default/qemu-ga", "/etc/sysconfig/qemu-ga")

_BLOCK = re.compile(r"(?:--block-rpcs|--blacklist)[= ]|(?:^|(?<=\s))-b ?")
_ALLOW = re.compile(r"--allow-rpcs[= ]|(?:^|(?<=\s))-a ?")


class Rule(NamedTuple):
    """Commands that a place blocks, or, if ``allowed``, the only ones it lets through."""

    where: str
    allowed: bool
    commands: FrozenSet[str]

    def blocks(self, command: str) -> bool:
        """Whether the command is refused."""
        return (command in self.commands) != self.allowed


class QemuAgent(NamedTuple):
    """``program`` is null when it is not installed. ``port`` tells whether the VM has the channel at all.

    ``listens``: a process of it has the channel open; null when that may not be seen.
    """

    program: Optional[str]
    version: Optional[str]
    unit: Optional[Unit]
    port: bool
    listens: Optional[bool]
    rules: Tuple[Rule, ...]


def is_agent(process: Process) -> bool:
    """Whether a process is the agent."""
    return process.runs(PROGRAM)


def read(machine: Machine, processes: Optional[Sequence[Process]]) -> QemuAgent:
    """``processes`` are those of the agent, null when they are unknown. Raises OSError, ValueError."""
    program = next((path for path in _PROGRAMS if machine.exists(path)), None)
    return QemuAgent(
        program=program,
        version=_version(machine) if program else None,
        unit=find(machine, _UNITS),
        port=machine.exists(PORT),
        listens=None if processes is None else _listens(machine, processes),
        rules=tuple(_rules(machine, processes or ())),
    )


def _listens(machine: Machine, processes: Sequence[Process]) -> Optional[bool]:
    device = posixpath.normpath(posixpath.join(posixpath.dirname(PORT), machine.link(PORT) or PORT))
    for process in processes:
        directory = "/proc/{}/fd".format(process.pid)
        try:
            opened = {machine.link(directory + "/" + name) for name in machine.names(directory)}
        except PermissionError:
            return None
        if opened & {device, PORT}:
            return True
    return False


def _version(machine: Machine) -> Optional[str]:
    packaged = in_debian(machine, "qemu-guest-agent")
    if packaged:
        return packaged
    ran = machine.run(PROGRAM, "--version")
    said = re.search(r"(\d+(?:\.\d+)+)", ran.output) if ran else None
    return said.group(1) if said else None


def _rules(machine: Machine, processes: Sequence[Process]) -> List[Rule]:
    """What the running agent was told, else what the next one will be told; and its own file."""
    rules = []
    for process in processes:
        rules += rules_in("process {}".format(process.pid), " ".join(process.arguments[1:]))
    if not processes:
        for path in _DEFAULTS:
            for value in _assigned(machine.read_text(path) or ""):
                rules += rules_in(path, value)
    content = machine.read_text(CONFIGURATION)
    if content is not None:
        rules += _configured(content)
    return rules


def rules_in(where: str, arguments: str) -> List[Rule]:
    """Rules among arguments of the agent, or the bare list that Red Hat's older service takes."""
    rules = []
    for pattern, allowed in ((_BLOCK, False), (_ALLOW, True)):
        for found in pattern.finditer(arguments):
            commands = arguments[found.end() :].split(" ")[0]
            rules.append(Rule(where, allowed, _commands(commands)))
    return rules


def _assigned(text: str) -> List[str]:
    values = []
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if not equals or name.lstrip().startswith("#"):
            continue
        plain = " ".join(shlex.split(value, comments=True))
        values.append("--block-rpcs=" + plain if name.strip() == "BLACKLIST_RPC" else plain)
    return values


def _configured(content: str) -> List[Rule]:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(content)
    except configparser.Error as error:
        raise ValueError("{}: {}".format(CONFIGURATION, error)) from error
    rules = []
    for key, allowed in (("blacklist", False), ("block-rpcs", False), ("allow-rpcs", True)):
        listed = parser.get("general", key, fallback="")
        if listed:
            rules.append(Rule(CONFIGURATION, allowed, _commands(listed)))
    return rules


def _commands(listed: str) -> FrozenSet[str]:
    return frozenset(name for name in re.split(r"[,;\s]+", listed.strip("\"' ")) if name)
