"""What waits to be done to the system: updates of packages, and a reboot.

Python 3.6, standard library only.
"""

import re
from typing import List, NamedTuple, Optional, Tuple

from overwinter.extension.doctor.machine import Machine

_APT_LISTS = "/var/lib/apt/lists"

_MODULES = "/lib/modules"

#: Package managers read large databases.
_LIMIT_S = 20.0

#: Of ``dnf check-update``: updates are there, none are there.
_DNF_SOME, _DNF_NONE = 100, 0


class Reboot(NamedTuple):
    """Why a reboot waits, a line each; none when nothing waits."""

    reasons: Tuple[str, ...]


def updates(machine: Machine) -> Tuple[str, ...]:
    """Packages that the system's package manager would update, by what it knows without the network.

    Raises OSError; ValueError when there is no package manager that could be asked.
    """
    for ask in (_apt, _dnf):
        found = ask(machine)
        if found is not None:
            return tuple(found)
    raise ValueError("no package manager that can be asked")


def _apt(machine: Machine) -> Optional[List[str]]:
    ran = machine.run("apt-get", "-s", "-q", "-o", "Debug::NoLocking=1", "upgrade", limit_s=_LIMIT_S)
    if ran is None:
        return None
    if ran.status != 0:
        raise ValueError("apt-get ended with {}".format(ran.status))
    if not machine.names(_APT_LISTS, "*Packages*"):
        raise ValueError("apt has never fetched its lists")
    return re.findall(r"^Inst (\S+)", ran.output, re.MULTILINE)


def _dnf(machine: Machine) -> Optional[List[str]]:
    for program in ("dnf", "yum"):
        ran = machine.run(program, "-q", "-C", "check-update", limit_s=_LIMIT_S)
        if ran is None:
            continue
        if ran.status not in (_DNF_SOME, _DNF_NONE):
            raise ValueError("{} ended with {}".format(program, ran.status))
        listed = ran.output.split("\nObsoleting Packages")[0]
        return re.findall(r"^(\S+)\.\w+ +\S+ +\S+ *$", listed, re.MULTILINE) if ran.status else []
    return None


def reboot(machine: Machine) -> Reboot:
    """Raises OSError, ValueError."""
    if not machine.exists("/proc/sys"):
        raise ValueError("/proc is not mounted")
    reasons = []
    for path in ("/run/reboot-required", "/var/run/reboot-required"):
        if machine.exists(path):
            packages = (machine.read_text(path + ".pkgs") or "").split()
            reasons.append(path + (": " + " ".join(sorted(set(packages))) if packages else ""))
            break
    return Reboot(tuple(reasons + _newer_kernel(machine)))


def _newer_kernel(machine: Machine) -> List[str]:
    """A newer kernel of the same kind is installed, or the running one is no longer there."""
    running = (machine.read_text("/proc/sys/kernel/osrelease") or "").strip()
    installed = [
        name for name in machine.names(_MODULES) if machine.exists(_MODULES + "/" + name + "/modules.dep")
    ]
    if not running or not installed:
        return []  # a container, or a kernel without modules: nothing to compare
    if running not in installed:
        return ["kernel {} runs, installed: {}".format(running, ", ".join(installed))]
    same = [name for name in installed if _kind(name) == _kind(running)]
    newest = max(same, key=_order)
    if _order(newest) <= _order(running):
        return []
    return ["kernel {} runs, {} is installed".format(running, newest)]


def _kind(kernel: str) -> str:
    """The words of a kernel's name: ``6.1.0-13-cloud-amd64`` is another kind than ``6.1.0-18-amd64``."""
    return " ".join(re.findall(r"[a-z]+", kernel))


def _order(kernel: str) -> List[Tuple[int, str]]:
    """A number is newer than a word in its place: ``553.5.1.el8`` than ``553.el8``."""
    pieces = re.findall(r"\d+|[a-z]+", kernel)
    return [(int(piece), "") if piece.isdigit() else (-1, piece) for piece in pieces]
