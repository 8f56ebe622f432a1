"""The processes of the machine, from ``/proc``.

Python 3.6, standard library only.
"""

import os
import re
from typing import List, NamedTuple, Tuple

from overwinter.extension.doctor.machine import Machine

_MOST_ARGUMENT_BYTES = 64 * 1024

#: A name may hold anything, brackets and line ends too.
_STATUS = re.compile(r"\d+ \((?P<name>.*)\) (?P<state>\S)", re.DOTALL)


class Process(NamedTuple):
    """``state`` is the kernel's letter: R, S, D, T (stopped by a signal), Z (dead, not yet reaped) …"""

    pid: int
    name: str
    state: str
    arguments: Tuple[str, ...]

    @property
    def alive(self) -> bool:
        """Whether it still runs, or would if it were let."""
        return self.state not in ("Z", "X")

    @property
    def stopped(self) -> bool:
        """Whether a signal or a debugger holds it."""
        return self.state in ("T", "t")

    def runs(self, program: str) -> bool:
        """Whether it is this program, by its own name or as the script of a Python."""
        names = [os.path.basename(argument) for argument in self.arguments[:4]]
        return program in (self.name, names[0]) or (names[0].startswith("python") and program in names)


def read(machine: Machine) -> Tuple[Process, ...]:
    """All processes; those that end meanwhile are left out. Raises OSError, ValueError."""
    if not machine.exists("/proc/1"):
        raise ValueError("/proc shows no processes")
    found: List[Process] = []
    for pid in machine.names("/proc", "[0-9]*"):
        try:
            status = machine.read_text("/proc/{}/stat".format(pid))
            arguments = machine.read_text("/proc/{}/cmdline".format(pid), _MOST_ARGUMENT_BYTES)
        except ProcessLookupError:
            continue
        told = _STATUS.match(status or "")
        if told is not None and arguments is not None:
            words = tuple(arguments.rstrip("\0").split("\0"))
            found.append(Process(int(pid), told.group("name"), told.group("state"), words))
    return tuple(found)
