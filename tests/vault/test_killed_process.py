"""Real processes killed amid every kind of work on a vault: a sample of what the crash proofs try."""

import signal
from pathlib import Path
from random import Random

import pytest

from overwinter.vault.storage import UNFINISHED, LocalStorage
from testkit.killed_process import act_on, run_killed
from testkit.tiny_vaults import in_order
from testkit.vault_check import PointLost, check
from testkit.vault_scenarios import SCENARIOS

SEED = 5


@pytest.mark.parametrize("name", [scenario.name for scenario in SCENARIOS])
def test_what_was_promised_is_there_after_a_kill(name: str, tmp_path: Path) -> None:
    places: list[int] = []
    world = act_on(name, SEED, tmp_path / "whole", places.append)
    place = Random(f"{SEED} {name}").choice(places)
    directory = tmp_path / "killed"
    assert run_killed(name, SEED, place, directory) == -signal.SIGKILL

    def unfinished() -> list[str]:
        return [path.name for path in (directory / UNFINISHED).glob("*")]

    with in_order():
        check(LocalStorage(directory), world.promises(place), Random(SEED), unfinished)


def test_a_point_that_is_not_there_is_noticed(tmp_path: Path) -> None:
    places: list[int] = []
    world = act_on("backups", SEED, tmp_path / "whole", places.append)
    run_killed("backups", SEED, 0, tmp_path / "killed")
    with in_order(), pytest.raises(PointLost):
        check(LocalStorage(tmp_path / "killed"), world.promises(len(places)), Random(SEED))
