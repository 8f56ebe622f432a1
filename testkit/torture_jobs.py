"""Torture of the jobs: killed at every step, servers away, disks full, cancelled, forty days on real chains.

Progress and what goes wrong are told on stderr; one JSON object on stdout sums up. Ends with 1 when a guest
was left frozen or paused, data was lost, or something was left over.
"""

import argparse
import json
import sys
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass

import structlog

from testkit.ground import Ground, prepare
from testkit.job_cancels import cancels
from testkit.job_days import Clock, Days
from testkit.job_faults import Fault, full_disks, losses, restarts
from testkit.job_kills import KILLS, MORE_KILLS, kill
from testkit.job_scene import DataLost, GuestFrozen, GuestPaused, Orphan, job_scene
from testkit.station import open_station
from testkit.torture import counting, tell


@dataclass(frozen=True)
class Extent:
    """How much: days, after how many of them all is compared, how long servers are away, in seconds, and how
    many jobs of each kind are cancelled.
    """

    days: int
    compare_every: int
    away_s: float
    cancels: int


LONG = Extent(days=40, compare_every=1, away_s=60, cancels=20)
SHORT = Extent(days=6, compare_every=3, away_s=2, cancels=1)

#: For the random moments at which jobs are cancelled.
SEED = 1


_WRONG: dict[type[Exception], str] = {
    GuestFrozen: "guests_frozen",
    GuestPaused: "guests_paused",
    DataLost: "data_lost",
    Orphan: "orphans",
}


@dataclass
class Tally:
    """What was done and what went wrong. ``failures``: anything that is none of the others."""

    steps_killed: int = 0
    faults: int = 0
    cancels: int = 0
    longest_cancel_s: float = 0
    guests_frozen: int = 0
    guests_paused: int = 0
    data_lost: int = 0
    orphans: int = 0
    days_simulated: int = 0
    points_compared: int = 0
    points_unequal: int = 0
    failures: int = 0

    @property
    def is_clean(self) -> bool:
        """Whether nothing went wrong."""
        wrong = (self.guests_frozen, self.guests_paused, self.data_lost, self.orphans, self.points_unequal)
        return not any((*wrong, self.failures))

    def counting(self) -> AbstractContextManager[None]:
        """Count what goes wrong in the block, and go on after it."""
        return counting(self, _WRONG, otherwise="failures")


def torture(ground: Ground, extent: Extent) -> Tally:
    """Do all of it."""
    tally = Tally()
    with job_scene(ground) as scene:
        for each in (*KILLS, *MORE_KILLS):
            tell(f"killed at {each}")
            with tally.counting():
                kill(scene, each)
            tally.steps_killed += 1
    _suffer(tally, losses(ground, extent.away_s))
    _suffer(tally, full_disks(ground))
    for name, cancel in cancels(ground, extent.cancels, SEED):
        tell(name)
        with tally.counting():
            tally.longest_cancel_s = max(tally.longest_cancel_s, round(cancel(), 1))
        tally.cancels += 1
    for running in (False, True):
        with tally.counting():
            _let_days_go_by(tally, ground, extent, running=running)
    _suffer(tally, restarts(ground))
    return tally


def _suffer(tally: Tally, faults: Iterable[tuple[str, Fault]]) -> None:
    for name, fault in faults:
        tell(name)
        with tally.counting():
            fault()
        tally.faults += 1


def _let_days_go_by(tally: Tally, ground: Ground, extent: Extent, *, running: bool) -> None:
    clock = Clock()
    with open_station(ground, clock=clock) as station:
        days = Days(station, clock, running=running)
        for day in range(1, extent.days + 1):
            days.pass_one()
            tally.days_simulated += 1
            if day % extent.compare_every == 0:
                try:
                    days.compare_all()
                except AssertionError:
                    tally.points_unequal += 1
                    raise
                tell(f"day {day} of a VM that is {'running' if running else 'off'}: {days.compared} compared")
        tally.points_compared += days.compared
        days.remove()


def main() -> int:
    """Torture as asked; gives the exit status."""
    parser = argparse.ArgumentParser(prog="python -m testkit.torture_jobs", description=__doc__)
    parser.add_argument("--short", action="store_true", help="fewer days, shorter losses")
    asked = parser.parse_args()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    with prepare() as ground:
        tally = torture(ground, SHORT if asked.short else LONG)
    print(json.dumps(asdict(tally)))
    return 0 if tally.is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
