"""A whole ``overwinter serve`` killed in the window of a backup and started again, judged by its catalog."""

import random
import signal
import time
from contextlib import suppress
from dataclasses import dataclass

from overwinter.model.point import Consistency
from testkit.daemons import LIBVIRTD
from testkit.freeze_scene import FreezeScene, Instant, Outcome, random_instant
from testkit.program import Program
from testkit.waiting import wait_until

#: Where the service waits with the guest frozen, and where the one started after it waits before its window.
_FROZEN, _BEFORE = "window.frozen", "snapshot.noted"

#: Seconds for a backup to come to its window.
_WINDOW_LIMIT_S = 60.0

#: Seconds for which the guest stays frozen before the snapshot, at most, and in which the rest is over.
_LONGER_S, _REST_S = 1.5, 1.0

_KILL_EXTENSION = "kill -STOP $keeper $freezer; kill -9 $keeper $freezer"


@dataclass(frozen=True)
class KillService:
    """The service, alone or with what else has a part in the freeze."""

    name: str
    extension: bool = False
    libvirtd: bool = False

    def window(self, scene: FreezeScene, rng: random.Random) -> Outcome:
        """One backup in whose window the service dies; the next service finishes it."""
        program = scene.program
        longer_s = rng.uniform(0, _LONGER_S)
        instant = random_instant(rng, longer_s, _REST_S)
        if self.extension:
            scene.order(instant, _KILL_EXTENSION)
        program.start(hold_at=_FROZEN)
        known = {point["id"] for point in program.do("points", scene.guest.name)}
        tops = scene.tops()
        program.do("backup", scene.guest.name, "--no-wait")
        _wait_for(program, instant, longer_s)
        killed = time.monotonic()
        self._strike(program)
        # Held before its own window: who is frozen until then was frozen by the one that is dead.
        program.start(hold_at=_BEFORE)
        if self.libvirtd:
            scene.reconnect()
        job = program.newest_job("Backup")
        frozen = scene.is_frozen_after_limit(lambda: _is_settled(program, job), since=killed)
        program.go_on()
        ended = program.ended(job)
        assert ended["status"] != "Failed", ended["errors"]
        found = [point for point in program.do("points", scene.guest.name) if point["id"] not in known]
        program.stop()
        label = Consistency(found[0]["consistency"]) if found else None
        taken = scene.tops() != tops
        return Outcome(label, taken, taken and scene.all_were_frozen(), frozen)

    def _strike(self, program: Program) -> None:
        program.kill()
        if self.libvirtd:
            LIBVIRTD.end(signal.SIGKILL)
            LIBVIRTD.start()


def _wait_for(program: Program, instant: Instant, longer_s: float) -> None:
    """Wait for the instant; the service goes on from its place when the guest was frozen for so long."""
    if instant.event != "frozen":
        time.sleep(instant.delay_s)
        return
    # Where the extension dies just as it has frozen, the window goes on without.
    with suppress(TimeoutError):
        wait_until(lambda: program.is_held, "the window is not reached", _WINDOW_LIMIT_S)
    time.sleep(min(instant.delay_s, longer_s))
    if instant.delay_s > longer_s:
        program.go_on()
        time.sleep(instant.delay_s - longer_s)


def _is_settled(program: Program, job: str) -> bool:
    return program.is_held or program.do("job", "show", job)["ended"] is not None
