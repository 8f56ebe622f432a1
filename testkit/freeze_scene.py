"""A guest that writes all the time, and windows around real snapshots of it.

Two judges that need neither agent nor extension: a writer in the guest whose count is read on the serial
console, and the frozen images: ext4 marks its journal as empty when it is frozen, and only then.
"""

import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from uuid import uuid4

from overwinter.guest.extension import PACKAGE
from overwinter.hypervisor import inventory
from overwinter.hypervisor.capture import CapturePlan
from overwinter.hypervisor.connection import Hypervisor
from overwinter.hypervisor.overlay_capture import OverlayCapture
from overwinter.model.point import Consistency
from testkit.console import console_device, console_run_on
from testkit.daemons import LIBVIRT_URI, LIBVIRTD
from testkit.disks import MIB, DiskSpec, convert
from testkit.domains import TinyGuest
from testkit.ground import Ground
from testkit.program import Program
from testkit.socket_proxy import SocketProxy, socket_proxy
from testkit.waiting import wait_until

#: So many seconds after a kill nobody may be frozen.
LIMIT_S = 10.0

#: Far more than a window takes, and than it goes on trying to thaw.
_END_S = 150.0

_CONSOLE_S = 30.0

#: Seconds by which a freeze is made longer, at most, before and after the snapshot.
_LONGER_S = 1.5

#: What the snapshot takes, as a rule.
_SNAPSHOT_S = 0.12

_WRITER = """
import os, sys, time
files = [os.open(place + "/beat", os.O_WRONLY | os.O_CREAT) for place in sys.argv[1:]]
count, worst, last = 0, 0.0, time.monotonic()
while True:
    for file in files:
        os.pwrite(file, b"%d" % count, 0)
        os.fsync(file)
    now = time.monotonic()
    count, worst, last = count + 1, max(worst, now - last), now
    with open("/run/beat.new", "w") as beat:
        beat.write("%d %d %f" % (count, worst * 1000, last))
    os.rename("/run/beat.new", "/run/beat")
    time.sleep(0.02)
"""


class Kill(Protocol):
    """Something that goes wrong in a window, and how it is put right afterwards."""

    @property
    def name(self) -> str:
        """Who is killed."""

    @property
    def by_proxy(self) -> bool:
        """Whether the window reaches libvirt only by way of the scene's proxy."""

    def prepare(self, scene: "FreezeScene", instant: "Instant") -> None:
        """Before the window: order what the guest is to do to itself at that instant."""

    def strike(self, scene: "FreezeScene", service: "subprocess.Popen[str]") -> None:
        """At that instant: do what is done from the host."""

    def repair(self, scene: "FreezeScene") -> None:
        """Let the next window find all in order."""


@dataclass(frozen=True)
class Instant:
    """So many seconds after the session has said a word: ``frozen``, or ``started`` for one before that."""

    event: str
    delay_s: float


@dataclass(frozen=True)
class Outcome:
    """What one window came to. ``consistency`` is null when its process was killed before it could say.

    ``clean``: the frozen images say that their file systems were frozen.
    """

    consistency: Consistency | None
    taken: bool
    clean: bool
    frozen_after_limit: bool

    @property
    def is_wrong(self) -> bool:
        """Whether the label claims what the images deny."""
        return self.consistency not in (None, Consistency.CRASH) and not (self.taken and self.clean)


@dataclass(frozen=True)
class Beat:
    """How often the guest has written, the longest time between two writes, and how long ago the last was."""

    count: int
    longest_stall_ms: int
    age_s: float


class FreezeScene:
    """One guest and its windows. Chains grow by an overlay a window: take a new scene now and then."""

    def __init__(self, ground: Ground, libvirt: SocketProxy) -> None:
        self.ground = ground.reconnected()
        self.libvirt = libvirt
        disks = [DiskSpec("qcow2", size=32 * MIB), DiskSpec("raw", size=32 * MIB)]
        self.guest: TinyGuest = self.ground.guests.with_python().make(f"freeze-{uuid4().hex[:6]}", disks)
        self.guest.agent.write_file("/run/writer.py", _WRITER.encode())
        self.guest.agent.check("python3 -IS /run/writer.py /mnt/vda /mnt/vdb >/dev/null 2>&1 </dev/null &")
        wait_until(lambda: self.guest.agent.run("[ -e /run/beat ]").exit_code == 0, "nobody writes")
        self._console = console_device(self.guest.domain)
        self._program: Program | None = None

    def reconnect(self) -> None:
        """Find the guest again after libvirtd was restarted."""
        name, disks = self.guest.name, self.guest.disks
        self.ground.connection.close()
        self.ground = self.ground.reconnected()
        self.guest = self.ground.guests.find(name)
        self.guest.disks = disks

    @property
    def program(self) -> Program:
        """An installation that protects the guest. Its service does not run between windows."""
        if self._program is None:
            directory = self.ground.run.directory / f"freeze-{uuid4().hex[:6]}"
            directory.mkdir(mode=0o755)
            self._program = Program(directory)
            self._program.start()
            self._program.do("vault", "create", "vault1")
            self._program.do("protect", self.guest.name, "--vault", "vault1")
            self._program.stop()
        return self._program

    def close(self) -> None:
        """End what runs and remove the guest, also after a window that failed in the middle."""
        if self._program is not None:
            self._program.stop()
        if not LIBVIRTD.answers:
            LIBVIRTD.start()
        self.reconnect()
        self.ground.guests.remove(self.guest)
        self.ground.connection.close()

    def console(self, line: str) -> str:
        """Output of a line of shell in the guest; works without agent and libvirt, and while frozen."""
        return console_run_on(self._console, line, _CONSOLE_S)

    def beat(self) -> Beat:
        """How the guest writes."""
        count, longest_stall_ms, last, up, _ = self.console("cat /run/beat; echo; cat /proc/uptime").split()
        return Beat(int(count), int(longest_stall_ms), float(up) - float(last))

    def order(self, instant: Instant, line: str) -> None:
        """Let the guest run a line of shell at an instant of the next window.

        The console takes as long as a whole freeze, so it comes from inside. In the line ``$keeper`` and
        ``$freezer`` are the processes of the extension.
        """
        word = f'\'"event": "{instant.event}"\''
        script = (
            "rm -rf /run/overwinter/*; looks=0\n"
            f"until grep -q {word} /run/overwinter/*/answers 2>/dev/null; do\n"
            "    sleep 0.05; looks=$((looks + 1)); [ $looks -lt 2000 ] || exit\n"
            "done\n"
            f"sleep {instant.delay_s:.2f}\n"
            f"set -- $(ps -o pid,args | grep '[p]ython3 -IS {PACKAGE}' | awk '{{print $1}}' | sort -n)\n"
            "keeper=$1 freezer=$2\n"
            f"{line}\n"
        )
        self.guest.agent.write_file("/run/order.sh", script.encode())
        self.guest.agent.check("sh /run/order.sh >/dev/null 2>&1 </dev/null &")

    def session_lives(self) -> bool:
        """Whether a process of the extension is left."""
        return PACKAGE in self.console(f"ps -o args | grep '[p]ython3 -IS {PACKAGE}'")

    def window(self, rng: random.Random, kill: Kill | None = None) -> Outcome:
        """One window, in which something goes wrong at a random instant."""
        before_s, after_s = rng.uniform(0, _LONGER_S), rng.uniform(0, _LONGER_S)
        tops = self.tops()
        instant = random_instant(rng, before_s, after_s)
        if kill is not None:
            kill.prepare(self, instant)
        by_proxy = kill is not None and kill.by_proxy
        uri = f"{LIBVIRT_URI}?socket={self.libvirt.path}" if by_proxy else LIBVIRT_URI
        plan = self._plan()
        arguments = [str(plan.vm_uuid), str(plan.point_id), uri, str(before_s), str(after_s)]
        service = subprocess.Popen(
            [sys.executable, "-m", "testkit.freeze_window", *arguments], stdout=subprocess.PIPE, text=True
        )
        frozen = False
        try:
            if kill is not None:
                _wait_for(service, instant)
                killed = time.monotonic()
                kill.strike(self, service)
                frozen = self.is_frozen_after_limit(lambda: service.poll() is not None, since=killed)
                kill.repair(self)
            said, _ = service.communicate(timeout=_END_S)
        finally:
            service.kill()
            service.wait()
        taken = self.tops() != tops
        if not taken:
            self._discard(plan)
        return Outcome(_label(said), taken, taken and self.all_were_frozen(), frozen)

    def _plan(self) -> CapturePlan:
        with closing(Hypervisor()) as hypervisor:
            machine = inventory.machine(hypervisor, self.guest.name)
            return OverlayCapture(hypervisor).plan(machine, uuid4(), None)

    def _discard(self, plan: CapturePlan) -> None:
        """What a service does with a snapshot that was not taken."""
        with closing(Hypervisor()) as hypervisor:
            OverlayCapture(hypervisor).discard(plan)

    def tops(self) -> list[Path]:
        """The files that the guest writes to now; a snapshot changes them."""
        return [self.guest.chain(target)[0] for target in self.guest.disks]

    def all_were_frozen(self) -> bool:
        """Whether the newest frozen images all say that their file systems were frozen."""
        return all(self.was_frozen(target) for target in self.guest.disks)

    def was_frozen(self, target: str) -> bool:
        """Whether the newest frozen image of a disk says that its file system was frozen."""
        frozen = self.guest.chain(target)[1]
        raw = self.ground.run.directory / f"judged-{uuid4().hex[:6]}"
        convert(frozen, "raw" if frozen.suffix == ".raw" else "qcow2", raw)
        header = subprocess.run(["dumpe2fs", "-h", str(raw)], capture_output=True, text=True, check=True)
        raw.unlink()
        return "needs_recovery" not in header.stdout

    def is_frozen_after_limit(self, is_over: Callable[[], bool], since: float) -> bool:
        """Wait until nobody is left who could freeze and the guest writes, or the limit is over.

        ``is_over``: nobody on the host will freeze any more. ``since``: the moment of the kill. A freeze that
        began after the kill has the same limit, from its own beginning.
        """
        deadline = since + LIMIT_S
        before = self.beat()
        while time.monotonic() < deadline:
            if is_over() and not self.session_lives() and self.beat().count > before.count:
                return False
        at_limit = self.beat()
        while (now := self.beat()).age_s < LIMIT_S:
            if now.count > at_limit.count:
                return False
        return True


def random_instant(rng: random.Random, before_s: float, after_s: float) -> Instant:
    """Half of them are within a freeze with its snapshot in the middle, a quarter before it, and a quarter in
    the short time of the snapshot itself."""
    kind = rng.random()
    if kind < 0.25:
        return Instant("started", rng.uniform(0, 2))
    if kind < 0.5:
        return Instant("frozen", before_s + rng.uniform(0, _SNAPSHOT_S))
    return Instant("frozen", rng.uniform(0, before_s + after_s))


def _wait_for(service: "subprocess.Popen[str]", instant: Instant) -> None:
    if instant.event == "frozen":
        assert service.stdout is not None
        service.stdout.readline()
    time.sleep(instant.delay_s)


def _label(said: str) -> Consistency | None:
    lines = [line for line in said.splitlines() if line.startswith("{")]
    return Consistency(json.loads(lines[-1])["consistency"]) if lines else None


@contextmanager
def freeze_scene(ground: Ground) -> Iterator[FreezeScene]:
    """A scene of its own, gone at the end."""
    path = ground.run.directory / f"libvirt-{uuid4().hex[:6]}"
    with socket_proxy(path, LIBVIRTD.socket) as libvirt:
        scene = FreezeScene(ground, libvirt)
        try:
            yield scene
        finally:
            scene.close()
