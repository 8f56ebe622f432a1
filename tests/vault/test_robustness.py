"""Random work of many hosts on one vault; the same seed does the same, and a failing one is named."""

import json
import os
import re
import subprocess
import sys

import pytest

from overwinter.model.errors import OverwinterError
from testkit.tiny_vaults import in_order
from testkit.torture_vault import Tally
from testkit.vault_check import BrokenPromise, PointLost, WrongData
from testkit.vault_engine import ACTIONS, Engine

#: Seeds of each class of tests: half a minute of one processor.
SEEDS = 30


def run(module: str, *arguments: str) -> str:
    """What a module of the kit prints; the order of sets is fixed there, so that a seed can be run again."""
    done = subprocess.run(
        [sys.executable, "-m", f"testkit.{module}", *arguments],
        env={**os.environ, "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def work(first: int) -> None:
    """Run some seeds; most of the actions drawn can be begun."""
    actions = re.match(r"\d+", run("vault_engine", str(first), str(SEEDS)))
    assert actions is not None
    assert int(actions[0]) == SEEDS * ACTIONS


class TestSeeds:
    def test_random_work_of_many_hosts_loses_nothing(self) -> None:
        work(1)


@pytest.mark.long
class TestMoreSeeds:
    """A class of its own: the two run on two processors."""

    def test_random_work_of_many_hosts_loses_nothing(self) -> None:
        work(1001)


@pytest.mark.long
def test_the_shortest_torture() -> None:
    tally = json.loads(run("torture_vault", "--short"))
    assert [*tally] == [
        "crash_states",
        "robust_actions",
        "bytes_flipped",
        "points_lost",
        "wrong_data",
        "tracebacks",
    ]
    assert tally["crash_states"] > 100
    assert tally["robust_actions"] == ACTIONS
    assert tally["bytes_flipped"] > 50
    assert tally["points_lost"] == tally["wrong_data"] == tally["tracebacks"] == 0


def test_what_goes_wrong_is_counted() -> None:
    tally = Tally()
    for error in (PointLost("lost"), WrongData("wrong"), BrokenPromise("else"), KeyError("defect")):
        with tally.counting():
            raise error
    assert (tally.points_lost, tally.wrong_data, tally.tracebacks) == (1, 1, 2)
    assert not tally.is_clean


FAULTS = {
    "a deletion deletes nothing": "overwinter.vault.store.VaultStore.delete_point",
    "a deletion does not look at locks": "overwinter.vault.points._refuse_locked",
    "a collection waits for nobody": "overwinter.vault.collect.open_sessions",
    "a collection forgets what was committed meanwhile": "overwinter.vault.collect.Collection._needed_again",
}


@pytest.mark.parametrize("place", FAULTS.values(), ids=list(FAULTS))
def test_faults_are_noticed_and_the_seed_is_named(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, lambda *_, **__: frozenset())
    with in_order(), pytest.raises((BrokenPromise, OverwinterError)) as failure:
        for seed in range(2, 2 + SEEDS):
            Engine(seed).run(ACTIONS)
    said = [str(failure.value), *getattr(failure.value, "__notes__", [])]
    assert any(re.search(r"seed \d+, action \d+", text) for text in said)
