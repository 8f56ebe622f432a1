"""No crash loses a point: thousands of states are checked, and faults are made that the check must notice."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from overwinter.vault.collect import Collection
from overwinter.vault.storage import Buffer, LocalStorage
from testkit.simulated_disk import SimulatedDisk
from testkit.tiny_vaults import in_order
from testkit.vault_check import BrokenPromise
from testkit.vault_crashes import ROOT, CrashProof
from testkit.vault_scenarios import SCENARIOS, Scenario

#: Different states that each class of tests checks at least, with what follows from its seed: 5,000 in all.
LEAST = 2500


@pytest.fixture(autouse=True)
def ordered() -> Iterator[None]:
    with in_order():
        yield


def prove(seed: int) -> int:
    """Check every scenario; gives how many different states of the storage there were."""
    states = {}
    for scenario in SCENARIOS:
        proof = CrashProof(scenario, seed)
        proof.power_loss(mixtures=7)
        proof.cut_calls(mixtures=4)
        proof.failing_disk(every=9)
        proof.failing_calls()
        proof.killed_before_power_loss(mixtures=1, every=9)
        states[scenario.name] = proof.states
    print("different states:", states)
    return sum(states.values())


class TestStates:
    def test_every_state_after_a_crash_keeps_what_was_promised(self) -> None:
        assert prove(seed=1) >= LEAST


class TestMoreStates:
    """A class of its own: the two run on two processors."""

    def test_every_state_after_a_crash_keeps_what_was_promised(self) -> None:
        assert prove(seed=2) >= LEAST


# --- the proofs can fail ----------------------------------------------------------------------------------


class NoFileSync(SimulatedDisk):
    def sync(self, descriptor: int) -> None: ...


def without_sync_of(*directories: str) -> type[SimulatedDisk]:
    """A disk that does not sync some directories, named from the vault's own; ``packs/*`` is each of them."""

    class NoDirectorySync(SimulatedDisk):
        def sync_directory(self, path: Path) -> None:
            if not any(path.match(str(ROOT / directory)) for directory in directories):
                super().sync_directory(path)

    return NoDirectorySync


class NoSyncOfTakenNames(SimulatedDisk):
    taken = False

    def link(self, source: Path, target: Path) -> None:
        self.taken = True
        super().link(source, target)
        self.taken = False

    def sync_directory(self, path: Path) -> None:
        if not self.taken:
            super().sync_directory(path)
        self.taken = False


def scenario(name: str) -> Scenario:
    (found,) = (scenario for scenario in SCENARIOS if scenario.name == name)
    return found


FAULTS = [NoFileSync, *map(without_sync_of, ["", "keys", "packs", "packs/*", "index", "manifests"])]


@pytest.mark.parametrize(
    "fault", FAULTS, ids=["file", "vault", "keys", "packs", "a pack's", "index", "manifests"]
)
def test_a_missing_sync_is_noticed(fault: type[SimulatedDisk]) -> None:
    with pytest.raises(BrokenPromise):
        for name in ("create", "backups", "keys", "deletion"):
            CrashProof(scenario(name), 1, fault).power_loss(mixtures=4)


def test_reliance_on_a_name_that_is_not_durable_is_noticed() -> None:
    """A commit that finds its manifest there, of a process that died before it synced the directory."""
    with pytest.raises(BrokenPromise):
        CrashProof(scenario("backups"), 1, NoSyncOfTakenNames).killed_before_power_loss(mixtures=0)


def test_packs_that_are_stored_after_the_index_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    late: list[tuple[str, Sequence[Buffer]]] = []
    put = LocalStorage.put

    def packs_late(self: LocalStorage, name: str, parts: Sequence[Buffer]) -> None:
        if name.startswith("packs/"):
            late.append((name, [bytes(part) for part in parts]))
            return
        put(self, name, parts)
        while name.startswith("manifests/") and late:
            put(self, *late.pop())

    proof = CrashProof(scenario("backups"), 1)
    monkeypatch.setattr(LocalStorage, "put", packs_late)
    with pytest.raises(BrokenPromise):
        proof.power_loss(mixtures=0)


def test_a_collection_that_forgets_what_was_committed_meanwhile_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    proof = CrashProof(scenario("collection beside a backup"), 1)
    monkeypatch.setattr(Collection, "_needed_again", lambda *_: set())
    with pytest.raises(BrokenPromise):
        proof.cut_calls(mixtures=0)
