"""How long a guest's synchronous writes wait: during whole backups by Overwinter and virtnbdbackup, and else.

The tools take turns on the same guest; a new guest for each round, and each round begins with another tool.
"""

import json
import math
import shutil
import statistics
import subprocess
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import libvirt

from testkit.disks import MIB, DiskSpec, realistic_data
from testkit.domains import TinyGuest
from testkit.ground import Ground
from testkit.station import Station, open_station
from testkit.waiting import wait_until

WRITER = Path(__file__).with_name("guest_files") / "writer.py"

#: Upper bounds in ms; what took longer than the last is counted behind them.
BUCKETS_MS = (2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000)

#: A write that took longer has visibly waited.
STALL_MS = 100

#: What the disk holds besides the writer's file, and what is new on it before the second backup.
DATA_BYTES, NEW_BYTES = 96 * MIB, 8 * MIB

_QUIET_S = 10.0
_GUEST_LIMIT_S = 300.0
_FILE, _ANSWER = "/mnt/vda/stall", "/run/stalls"


@dataclass
class Stalls:
    """Times of writes in ms, and the seconds that the backups took meanwhile."""

    writes_ms: list[float] = field(default_factory=list)
    seconds: float = 0.0

    def document(self) -> dict[str, object]:
        """Histogram: counts by upper bound in ms; then what it comes to."""
        counts = [0] * (len(BUCKETS_MS) + 1)
        for took in self.writes_ms:
            counts[bisect_left(BUCKETS_MS, took)] += 1
        bounds = [*(str(bound) for bound in BUCKETS_MS), "more"]
        ordered = sorted(self.writes_ms)
        return {
            "writes": len(ordered),
            "seconds": round(self.seconds, 1),
            "histogram_ms": dict(zip(bounds, counts, strict=True)),
            "median_ms": statistics.median(ordered),
            "p99_ms": ordered[math.ceil(len(ordered) * 0.99) - 1],
            "longest_ms": ordered[-1],
            "stalled_ms": round(sum(took for took in ordered if took > STALL_MS)),
        }


def measure(ground: Ground, rounds: int, say: Callable[[str], None]) -> dict[str, Stalls]:
    """So many rounds: nothing, and a full and an incremental backup by each tool."""
    found: dict[str, Stalls] = {}
    content = ground.run.directory / "content"
    content.mkdir()
    (content / "data").write_bytes(realistic_data(DATA_BYTES, seed=1))
    with open_station(ground) as station:
        for number in range(rounds):
            disk = DiskSpec(size=2 * DATA_BYTES, content=content)
            guest = ground.guests.with_python().make(f"stalls-{uuid4().hex[:6]}", [disk])
            guest.agent.write_file("/run/writer.py", WRITER.read_bytes())
            with _writes(guest, found, "quiet"):
                time.sleep(_QUIET_S)
            tools = [_overwinter, _virtnbdbackup]
            for tool in tools if number % 2 == 0 else reversed(tools):
                tool(station, guest, found)
            say(f"stalls: round {number + 1} of {rounds}")
            ground.guests.remove(guest)
    shutil.rmtree(content)
    return found


def _overwinter(station: Station, guest: TinyGuest, found: dict[str, Stalls]) -> None:
    """As users do it: jobs of a running service; in the end the guest has its one file again."""
    item = station.protect(guest)
    for what in ("full", "incremental"):
        _change(guest)
        with _writes(guest, found, f"overwinter_{what}"):
            station.backup(item)
    station.completed(station.service.unprotect(item, delete_data=True))


def _virtnbdbackup(station: Station, guest: TinyGuest, found: dict[str, Stalls]) -> None:
    """With its defaults: it freezes through the agent, and makes a checkpoint each time."""
    directory = station.directory / f"virtnbdbackup-{uuid4().hex[:6]}"
    directory.mkdir(mode=0o755)
    sockets = directory / "sockets"
    sockets.mkdir()
    sockets.chmod(0o1777)  # QEMU makes its sockets and scratch files there under a user of its own
    repository = directory / "repository"
    repository.mkdir()
    command: list[str | Path] = ["virtnbdbackup", "-d", guest.name, "-o", repository]
    command += ["-S", sockets, "-n", "-f", sockets / "nbd"]
    for what, level in (("full", "full"), ("incremental", "inc")):
        _change(guest)
        with _writes(guest, found, f"virtnbdbackup_{what}"):
            done = subprocess.run([*command, "-l", level], capture_output=True, text=True, check=False)
        if done.returncode != 0 or "Thawed" not in done.stderr:
            raise RuntimeError(f"virtnbdbackup did not back up a frozen guest: {done.stderr}")
    parents_first = libvirt.VIR_DOMAIN_CHECKPOINT_LIST_TOPOLOGICAL
    for checkpoint in reversed(guest.domain.listAllCheckpoints(parents_first)):
        checkpoint.delete()
    shutil.rmtree(directory)


def _change(guest: TinyGuest) -> None:
    """New data on the disk."""
    guest.agent.check(f"dd if=/dev/urandom of=/mnt/vda/new bs=1M count={NEW_BYTES // MIB} 2>/dev/null; sync")


@contextmanager
def _writes(guest: TinyGuest, found: dict[str, Stalls], name: str) -> Iterator[None]:
    """The guest writes while the block runs."""
    guest.agent.check(
        f"rm -f {_ANSWER}*; python3 -IS /run/writer.py {_FILE} {_ANSWER} </dev/null >/dev/null 2>&1 &"
        " echo $! >/run/writer.pid"
    )
    wait_until(lambda: _has(guest, f"{_ANSWER}.begun"), "the writer does not begin", _GUEST_LIMIT_S)
    begun = time.monotonic()
    yield
    seconds = time.monotonic() - begun
    guest.agent.check("kill $(cat /run/writer.pid)")
    wait_until(lambda: _has(guest, _ANSWER), "the writer does not end", _GUEST_LIMIT_S)
    stalls = found.setdefault(name, Stalls())
    stalls.writes_ms += json.loads(guest.agent.read_file(_ANSWER))
    stalls.seconds += seconds


def _has(guest: TinyGuest, path: str) -> bool:
    return guest.agent.run(f"[ -e {path} ]").exit_code == 0
