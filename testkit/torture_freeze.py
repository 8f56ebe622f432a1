"""Torture of the freeze: everybody who has a part in it killed at random instants of the window.

Progress and what goes wrong are told on stderr; one JSON object on stdout sums up. Ends with 1 when a guest
was frozen ten seconds after a kill, a label claimed what the images deny, or a window failed.
"""

import argparse
import json
import random
import sys
from dataclasses import asdict, dataclass

from testkit.freeze_kills import KILLS
from testkit.freeze_scene import FreezeScene, freeze_scene
from testkit.freeze_service import KillService
from testkit.ground import Ground, prepare
from testkit.own_libvirt import move_there
from testkit.torture import counting, tell

LONG, SHORT = 500, len(KILLS)

#: Windows per guest; each makes the chains of its disks longer by one overlay.
_WINDOWS_PER_GUEST = 25


@dataclass
class Tally:
    """What was done and what went wrong.

    ``failures``: windows that came to no end that can be judged. ``longest_freeze_ms`` is the longest time
    for which the guest's writer stood still.
    """

    kills: int = 0
    frozen_after_10s: int = 0
    wrong_labels: int = 0
    failures: int = 0
    longest_freeze_ms: int = 0

    @property
    def is_clean(self) -> bool:
        """Whether nothing went wrong."""
        return not (self.frozen_after_10s or self.wrong_labels or self.failures)


def torture(ground: Ground, kills: int, seed: int) -> Tally:
    """So many kills, each kind as often as the others, at instants that the seed decides."""
    tally = Tally()
    rng = random.Random(seed)
    while tally.kills < kills:
        with freeze_scene(ground) as scene, counting(tally, {}, otherwise="failures"):
            for _ in range(min(_WINDOWS_PER_GUEST, kills - tally.kills)):
                strike_once(scene, tally, rng)
            tally.longest_freeze_ms = max(tally.longest_freeze_ms, scene.beat().longest_stall_ms)
    return tally


def strike_once(scene: FreezeScene, tally: Tally, rng: random.Random) -> None:
    """One window with the next kill in turn."""
    kill = KILLS[tally.kills % len(KILLS)]
    tally.kills += 1
    outcome = kill.window(scene, rng) if isinstance(kill, KillService) else scene.window(rng, kill)
    tally.frozen_after_10s += outcome.frozen_after_limit
    tally.wrong_labels += outcome.is_wrong
    label = outcome.consistency or "no label"
    wrong = " WRONG LABEL" if outcome.is_wrong else ""
    still = " STILL FROZEN" if outcome.frozen_after_limit else ""
    tell(f"{tally.kills}: {kill.name}: {label}{wrong}{still}")


def main() -> int:
    """Torture as asked; gives the exit status."""
    parser = argparse.ArgumentParser(prog="python -m testkit.torture_freeze", description=__doc__)
    parser.add_argument("--short", action="store_true", help=f"{SHORT} kills instead of {LONG}")
    parser.add_argument("--kills", type=int, help="so many kills")
    parser.add_argument("--seed", type=int, default=1, help="decides the instants")
    asked = parser.parse_args()
    move_there()
    with prepare() as ground:
        tally = torture(ground, asked.kills or (SHORT if asked.short else LONG), asked.seed)
    print(json.dumps(asdict(tally)))
    return 0 if tally.is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
