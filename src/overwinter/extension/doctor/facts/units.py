"""How the machine's init system runs a service: systemd's unit with its drop-ins, or a script of System V.

Python 3.6, standard library only.
"""

from typing import List, NamedTuple, Optional, Sequence, Tuple

from overwinter.extension.doctor.machine import Machine

#: In systemd's order of precedence.
_DIRECTORIES = (
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
)

_NOTHING = "/dev/null"


class Unit(NamedTuple):
    """A service; ``systemd`` is false for a script of System V, which knows nothing of the rest.

    ``restart`` is the unit's ``Restart=``, ``condition`` its ``ConditionVirtualization=``, each empty when it
    has none; ``environment`` are its ``Environment=`` as written.
    """

    path: str
    systemd: bool
    masked: bool = False
    restart: str = ""
    condition: str = ""
    environment: Tuple[str, ...] = ()


def find(machine: Machine, names: Sequence[str]) -> Optional[Unit]:
    """The first of the named services (without ``.service``) that the machine has. Raises OSError."""
    for name in names:
        unit = _systemd_unit(machine, name + ".service")
        if unit is not None:
            return unit
    for name in names:
        path = "/etc/init.d/" + name
        if machine.exists(path):
            return Unit(path, systemd=False)
    return None


def _systemd_unit(machine: Machine, name: str) -> Optional[Unit]:
    for directory in _DIRECTORIES:
        path = directory + "/" + name
        if machine.link(path) == _NOTHING:
            return Unit(path, systemd=True, masked=True)
        content = machine.read_text(path)
        if content is not None:
            lines = content.splitlines()
            for drop_in in _drop_ins(machine, name):
                lines += (machine.read_text(drop_in) or "").splitlines()
            return Unit(
                path,
                systemd=True,
                restart=_last(lines, "Restart"),
                condition=_last(lines, "ConditionVirtualization"),
                environment=tuple(_all(lines, "Environment")),
            )
    return None


def _drop_ins(machine: Machine, name: str) -> List[str]:
    """By file name; of the same name, the one of the first directory."""
    chosen = {}
    for directory in reversed(_DIRECTORIES):
        inside = "{}/{}.d".format(directory, name)
        chosen.update({file: inside + "/" + file for file in machine.names(inside, "*.conf")})
    return [path for _, path in sorted(chosen.items())]


def _last(lines: Sequence[str], key: str) -> str:
    values = _all(lines, key)
    return values[-1] if values else ""


def _all(lines: Sequence[str], key: str) -> List[str]:
    """Values of a key; an empty one takes back those before it."""
    values: List[str] = []
    for line in lines:
        name, equals, value = line.partition("=")
        if equals and name.strip() == key:
            values = [*values, value.strip()] if value.strip() else []
    return values
