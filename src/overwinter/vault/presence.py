"""Who holds an open session, and is that process certainly gone?

Being wrong about it costs a writer its work and nobody any data (`announcements.fence`), so this may use what
only one machine knows.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from overwinter.model.errors import VaultDataCorrupt


@dataclass(frozen=True)
class Presence:
    """A process: ``machine`` names one boot of one kernel and one namespace of process ids in it.

    ``started`` is the process's start in the kernel's ticks, so that a number given out again is told apart
    (``/proc/<pid>/stat``, field 22; proc(5)).
    """

    machine: str
    pid: int
    started: int

    @classmethod
    def here(cls) -> "Presence":
        """This process."""
        return cls(_machine(), os.getpid(), _started(os.getpid()) or 0)

    def is_here(self) -> bool:
        """Whether the process runs on this machine, or did."""
        return self.machine == _machine()

    def is_alive(self) -> bool:
        """Whether the process runs; only for one that `is_here`."""
        return _started(self.pid) == self.started

    def to_json(self) -> dict[str, object]:
        """As numbers and texts."""
        return {"machine": self.machine, "pid": self.pid, "started": self.started}

    @classmethod
    def from_json(cls, value: object) -> "Presence":
        """The reverse of `to_json`. Raises ``VaultDataCorrupt``."""
        try:
            fields = dict(value)  # type: ignore[call-overload]
            return cls(str(fields["machine"]), int(fields["pid"]), int(fields["started"]))
        except (TypeError, ValueError, KeyError, OverflowError) as error:
            raise VaultDataCorrupt(f"A session of the vault is damaged: {error!r}") from error


def _machine() -> str:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return f"{boot} {Path('/proc/self/ns/pid').readlink()}"


def _started(pid: int) -> int | None:
    """Start time of a process; null when there is none, or only what is left of one."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()  # the name in parentheses may hold anything
    return None if fields[0] in "ZX" else int(fields[19])
