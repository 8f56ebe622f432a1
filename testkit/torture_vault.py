"""Torture of the vault for as long as wanted: crashes, random work of many hosts, every byte changed.

Progress and what goes wrong are told on stderr; one JSON object on stdout sums up. Ends with 1 when a point
was lost, data was wrong, or anything else came of it that should not.
"""

import argparse
import json
import sys
import time
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from itertools import count

from testkit.repeatable import fix_order_of_sets
from testkit.tiny_vaults import in_order
from testkit.torture import counting, tell
from testkit.vault_check import PointLost, WrongData
from testkit.vault_crashes import CrashProof
from testkit.vault_engine import ACTIONS, Engine
from testkit.vault_hostile import Examiner, damages, losses, small_vault
from testkit.vault_scenarios import SCENARIOS, Scenario


@dataclass(frozen=True)
class Extent:
    """How much of everything.

    ``seeds`` and ``mixtures`` of crash proofs, in which one operation in ``every`` fails; ``minutes`` of
    random work; each ``step``-th byte is changed by each of the ``masks``.
    """

    seeds: int
    every: int
    mixtures: int
    minutes: float
    masks: tuple[int, ...]
    step: int


LONG = Extent(seeds=3, every=1, mixtures=24, minutes=10, masks=tuple(1 << bit for bit in range(8)), step=1)
SHORT = Extent(seeds=1, every=80, mixtures=0, minutes=0, masks=(0x10,), step=60)


@dataclass
class Tally:
    """What was done and what went wrong. ``tracebacks``: anything that is neither of the two before it."""

    crash_states: int = 0
    robust_actions: int = 0
    bytes_flipped: int = 0
    points_lost: int = 0
    wrong_data: int = 0
    tracebacks: int = 0

    @property
    def is_clean(self) -> bool:
        """Whether nothing went wrong."""
        return not (self.points_lost or self.wrong_data or self.tracebacks)

    def counting(self) -> AbstractContextManager[None]:
        """Count what goes wrong in the block, and go on after it."""
        wrong: dict[type[Exception], str] = {PointLost: "points_lost", WrongData: "wrong_data"}
        return counting(self, wrong, otherwise="tracebacks")


def torture(extent: Extent, first_seed: int) -> Tally:
    """Do all of it."""
    tally = Tally()
    with in_order():
        for seed in range(first_seed, first_seed + extent.seeds):
            for scenario in SCENARIOS:
                _crash(tally, extent, scenario, seed)
        _change_bytes(tally, extent, first_seed)
        _work_at_random(tally, extent, first_seed)
    return tally


def _crash(tally: Tally, extent: Extent, scenario: Scenario, seed: int) -> None:
    proof = CrashProof(scenario, seed)
    with tally.counting():
        proof.power_loss(extent.mixtures)
    with tally.counting():
        proof.cut_calls(extent.mixtures)
    with tally.counting():
        proof.failing_disk(extent.every)
    with tally.counting():
        proof.failing_calls(extent.every)
    with tally.counting():
        proof.killed_before_power_loss(extent.mixtures // 4, extent.every)
    tally.crash_states += proof.states
    tell(f"crashes of {scenario.name}, seed {seed}: {proof.states} states")


def _change_bytes(tally: Tally, extent: Extent, seed: int) -> None:
    subject = small_vault(seed)
    examiner = Examiner(subject)
    for number, mask in enumerate(extent.masks):
        with tally.counting():
            for is_noticed in examiner.flips(mask, number % extent.step, extent.step):
                tally.bytes_flipped += 1
                if not is_noticed:
                    raise AssertionError("a changed byte was not noticed")
        tell(f"bytes changed by {mask:#04x}: {tally.bytes_flipped} in all")
    for each, damage in enumerate([*damages(subject, seed), *losses(subject)]):
        if each % extent.step == 0:
            with tally.counting():
                examiner.examine(damage)


def _work_at_random(tally: Tally, extent: Extent, first_seed: int) -> None:
    """Seed after seed until the time is over, at least one."""
    until = time.monotonic() + extent.minutes * 60
    for seed in count(first_seed):
        engine = Engine(seed)
        with tally.counting():
            engine.run(ACTIONS)
        tally.robust_actions += engine.actions
        if time.monotonic() >= until:
            return
        if seed % 20 == 0:
            tell(f"random work up to seed {seed}: {tally.robust_actions} actions")


def main() -> int:
    """Torture as asked; gives the exit status."""
    fix_order_of_sets()
    parser = argparse.ArgumentParser(prog="python -m testkit.torture_vault", description=__doc__)
    parser.add_argument("--short", action="store_true", help="a little of everything")
    parser.add_argument(
        "--minutes", type=float, help=f"of random work; default: {LONG.minutes:.0f}, short: 0"
    )
    parser.add_argument("--seed", type=int, default=1, help="the first seed; default: 1")
    asked = parser.parse_args()
    extent = SHORT if asked.short else LONG
    if asked.minutes is not None:
        extent = replace(extent, minutes=asked.minutes)
    tally = torture(extent, asked.seed)
    print(json.dumps(asdict(tally)))
    return 0 if tally.is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
