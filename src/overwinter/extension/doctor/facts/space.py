"""Room where agents and extensions write. Python 3.6, standard library only."""

import os
from typing import NamedTuple, Tuple

from overwinter.extension.doctor.machine import Machine

#: State, logs and temporary files of agents and extensions.
_WRITTEN_TO = ("/", "/var/lib", "/var/lib/waagent", "/var/log", "/tmp", "/run")


class Space(NamedTuple):
    """A file system; ``files`` is how many more may be made in it (many, where no such limit exists)."""

    directory: str
    free_bytes: int
    files: int

    @property
    def evidence(self) -> str:
        """For people."""
        return "{}: {} MiB and {} files left".format(self.directory, self.free_bytes >> 20, self.files)


def read(machine: Machine) -> Tuple[Space, ...]:
    """Every file system once. Raises OSError."""
    seen = set()
    found = []
    for directory in _WRITTEN_TO:
        status = machine.status(directory)
        if status is None or status.st_dev in seen:
            continue
        seen.add(status.st_dev)
        room = os.statvfs(machine.path(directory))
        files = room.f_ffree if room.f_files else 1 << 31
        found.append(Space(directory, room.f_bfree * room.f_frsize, files))
    return tuple(found)
