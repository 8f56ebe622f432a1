"""Azure's Linux agent: is it installed, does it run, what does it say of itself?

Python 3.6, standard library only.
"""

import re
from typing import List, NamedTuple, Optional, Tuple

from overwinter.extension.doctor.facts.document import load, member
from overwinter.extension.doctor.facts.processes import Process
from overwinter.extension.doctor.facts.units import Unit, find
from overwinter.extension.doctor.facts.versions import in_debian
from overwinter.extension.doctor.machine import Machine

PROGRAM = "waagent"

#: Where it keeps goal states, extensions and keys.
LIBRARY = "/var/lib/waagent"

_PROGRAMS = ("/usr/sbin/waagent", "/usr/bin/waagent")

_UNITS = ("walinuxagent", "waagent")

#: Arguments of the agent that stays; others make it answer and end.
_SERVING = ("daemon", "run-exthandlers")

_PYTHON = re.compile(r"python(\d+)\.(\d+)")


class Interpreter(NamedTuple):
    """The Python that the agent's program names; ``version`` is null when the program could not be found."""

    path: str
    version: Optional[Tuple[int, int]]


class Report(NamedTuple):
    """What the agent last told the host of itself, and how many seconds ago."""

    path: str
    status: str
    message: str
    version: str
    age_s: float


class WaAgent(NamedTuple):
    """``program`` is null when it is not installed. ``knows_host``: it has had a goal state from a host."""

    program: Optional[str]
    version: Optional[str]
    unit: Optional[Unit]
    interpreter: Optional[Interpreter]
    report: Optional[Report]
    knows_host: bool


def read(machine: Machine) -> WaAgent:
    """Raises OSError, ValueError."""
    program = next((path for path in _PROGRAMS if machine.exists(path)), None)
    report = _report(machine)
    return WaAgent(
        program=program,
        version=_version(machine, report) if program else None,
        unit=find(machine, _UNITS),
        interpreter=_interpreter(machine, program) if program else None,
        report=report,
        knows_host=bool(
            machine.names(LIBRARY, "GoalState*.xml") or machine.names(LIBRARY, "*.prv") or report
        ),
    )


def is_agent(process: Process) -> bool:
    """Whether a process is the agent, as installed or as updated by itself."""
    serves = any(argument.lstrip("-/") in _SERVING for argument in process.arguments)
    updated = any("WALinuxAgent-" in argument for argument in process.arguments[:4])
    return serves and (process.runs(PROGRAM) or updated)


def _version(machine: Machine, report: Optional[Report]) -> Optional[str]:
    """Of the agent that works (it may have updated itself), else of the installed one."""
    if report is not None and report.version:
        return report.version
    for library in ("/usr/lib", "/usr/lib64", "/usr/local/lib"):
        for python in machine.names(library, "python3*"):
            for packages in ("dist-packages", "site-packages"):
                path = "/".join([library, python, packages, "azurelinuxagent/common/version.py"])
                found = re.search(
                    r"^AGENT_VERSION = ['\"]([^'\"]+)", machine.read_text(path) or "", re.MULTILINE
                )
                if found:
                    return found.group(1)
    packaged = in_debian(machine, "waagent") or in_debian(machine, "walinuxagent")
    if packaged:
        return packaged
    ran = machine.run(PROGRAM, "-version")
    said = re.search(r"WALinuxAgent-([\d.]+)", ran.output) if ran else None
    return said.group(1) if said else None


def _interpreter(machine: Machine, program: str) -> Optional[Interpreter]:
    """What the first line of the program names; null when that is no Python."""
    line = (machine.read_text(program) or "").split("\n")[0]
    if not line.startswith("#!") or "python" not in line:
        return None
    words = line[2:].split()
    path = words[0] if not words[0].endswith("/env") or len(words) < 2 else "/usr/bin/" + words[1]
    if not machine.exists(path):
        return Interpreter(path, None)
    found = _PYTHON.search(machine.path(path)) or _PYTHON.search(machine.link(path) or "")
    if found is None:
        ran = machine.run(path.rsplit("/", 1)[-1], "--version")
        found = re.search(r"(\d+)\.(\d+)", ran.output) if ran else None
    if found is None:
        raise ValueError("the version of {} cannot be told".format(path))
    return Interpreter(path, (int(found.group(1)), int(found.group(2))))


def _report(machine: Machine) -> Optional[Report]:
    """The newest of the files that the agent writes after each report: its place differs by version."""
    places = [LIBRARY] + [LIBRARY + "/history/" + name for name in machine.names(LIBRARY + "/history")]
    written: List[Tuple[float, str]] = []
    for place in places:
        for name in machine.names(place, "waagent_status*.json"):
            status = machine.status(place + "/" + name)
            if status is not None:
                written.append((status.st_mtime, place + "/" + name))
    if not written:
        return None
    at, path = max(written)
    try:
        own = member(member(load(machine.read_text(path) or ""), "aggregateStatus"), "guestAgentStatus")
    except ValueError:
        return Report(path, "", "", "", machine.now - at)  # caught while it was being written, or cut off
    message = member(own, "formattedMessage").get("message", "")
    return Report(
        path, str(own.get("status", "")), str(message), str(own.get("version", "")), machine.now - at
    )
