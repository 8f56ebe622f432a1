"""Runs a program and measures it: wall clock until its data is on the disk, memory, bytes read.

Memory is the sum of the resident sizes of the program and everything below it, looked at every 50 ms, and
never less than what the kernel noted as the highest of any one of them (/proc/PID/status, VmRSS, VmHWM).
"""

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

#: Seconds between two looks at the memory.
INTERVAL = 0.05

#: Bytes of a failed program's complaint that are shown.
_COMPLAINT = 2000


class BenchError(Exception):
    """The benchmark cannot go on; the message says why."""


@dataclass(frozen=True)
class Measured:
    """What a program took.

    ``rchar`` is what it and its children got by read calls (of files, not by recv from sockets), as the
    kernel counts in /proc/PID/io; ``output`` what it printed.
    """

    seconds: float
    rchar: int
    peak_rss_bytes: int
    output: str


def measure(
    command: Sequence[str | Path], *, cwd: Path, durable: Path, environment: Mapping[str, str] | None = None
) -> Measured:
    """Run ``command``; the clock stops when all data of the file system of ``durable`` is on the disk.

    Raises ``BenchError`` with the program's words when it fails.
    """
    _sync(durable)
    with tempfile.TemporaryFile() as complaint, tempfile.TemporaryFile() as output:
        begun = time.monotonic()
        process = subprocess.Popen(
            [str(word) for word in command],
            cwd=cwd,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=complaint,
        )
        try:
            with _MemoryWatch(process.pid) as memory:
                # Not reaped yet: the kernel's count of a program and its children is complete only now.
                os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
            rchar = _rchar(process.pid)
        except BaseException:
            process.kill()
            raise
        finally:
            process.wait()
        _sync(durable)
        seconds = time.monotonic() - begun
        if process.returncode:
            complaint.seek(0)
            words = complaint.read().decode(errors="replace").strip()[-_COMPLAINT:]
            raise BenchError(f"{command[0]} failed with exit status {process.returncode}: {words}")
        output.seek(0)
        return Measured(seconds, rchar, memory.peak, output.read().decode(errors="replace"))


def _sync(path: Path) -> None:
    subprocess.run(["sync", "-f", path], check=True)


def _rchar(pid: int) -> int:
    lines = Path(f"/proc/{pid}/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("rchar:"))


class _MemoryWatch:
    """Looks at a process tree from a thread of its own, for the length of a ``with`` statement."""

    def __init__(self, root: int) -> None:
        self.peak = 0
        self._root = root
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory-watch")

    def __enter__(self) -> "_MemoryWatch":
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        running = True
        while running:
            sizes = [_memory(pid) for pid in _tree(self._root)]
            now = sum(resident for resident, _ in sizes)
            self.peak = max(self.peak, now, *(highest for _, highest in sizes))
            running = not self._ended.wait(INTERVAL)


def _tree(root: int) -> list[int]:
    """A process and everything below it, as far as it lives."""
    pids = [root]
    for pid in pids:
        with suppress(FileNotFoundError, ProcessLookupError):
            for task in Path(f"/proc/{pid}/task").iterdir():
                with suppress(FileNotFoundError, ProcessLookupError):
                    pids += map(int, (task / "children").read_text().split())
    return pids


def _memory(pid: int) -> tuple[int, int]:
    """Resident bytes of a process, now and at most; zeros when it has ended."""
    fields = {"VmRSS": 0, "VmHWM": 0}
    with suppress(FileNotFoundError, ProcessLookupError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            name, _, value = line.partition(":")
            if name in fields:
                fields[name] = int(value.split()[0]) * 1024
    return fields["VmRSS"], fields["VmHWM"]
