"""No crash loses a point: thousands of states are checked, and faults are made that the check must notice."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from overwinter.vault.collect import Collection
from overwinter.vault.storage import Buffer, LocalStorage
from testkit.simulated_disk import SimulatedDisk
from testkit.tiny_vaults import in_order
from testkit.vault_check import BrokenPromise, PointLost
from testkit.vault_crashes import ROOT, CrashProof
from testkit.vault_scenarios import SCENARIOS, Scenario

#: What each class of tests checks at least: different states of a storage, and sets of objects in them.
LEAST_STATES, LEAST_VAULTS = 2500, 500


@pytest.fixture(autouse=True)
def ordered() -> Iterator[None]:
    with in_order():
        yield


def prove(seed: int) -> None:
    """Check every scenario."""
    states, vaults = {}, {}
    for scenario in SCENARIOS:
        proof = CrashProof(scenario, seed)
        proof.power_loss(mixtures=4)
        proof.cut_calls(mixtures=8)
        proof.failing_disk(every=9)
        proof.failing_calls()
        proof.killed_before_power_loss(mixtures=2, every=8)
        states[scenario.name], vaults[scenario.name] = proof.states, proof.vaults
    print("different states:", states, "sets of objects in them:", vaults)
    assert sum(states.values()) >= LEAST_STATES
    assert sum(vaults.values()) >= LEAST_VAULTS


class TestStates:
    def test_every_state_after_a_crash_keeps_what_was_promised(self) -> None:
        prove(seed=1)


@pytest.mark.long
class TestMoreStates:
    """Another seed; a class of its own, so that two processors can share the work."""

    def test_every_state_after_a_crash_keeps_what_was_promised(self) -> None:
        prove(seed=2)


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


def test_packs_that_are_removed_before_their_copies_are_stored_are_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    late: list[tuple[str, Sequence[Buffer]]] = []
    put, delete = LocalStorage.put, LocalStorage.delete

    def copies_late(self: LocalStorage, name: str, parts: Sequence[Buffer]) -> None:
        if name.startswith(("packs/", "index/")):
            late.append((name, [bytes(part) for part in parts]))
        else:
            put(self, name, parts)

    def packs_first(self: LocalStorage, names: Sequence[str]) -> None:
        delete(self, names)
        while late and any(name.startswith("packs/") for name in names):
            put(self, *late.pop())

    proof = CrashProof(scenario("collection"), 1)
    monkeypatch.setattr(LocalStorage, "put", copies_late)
    monkeypatch.setattr(LocalStorage, "delete", packs_first)
    with pytest.raises(PointLost):
        proof.power_loss(mixtures=0)


def test_a_collection_that_forgets_what_was_committed_meanwhile_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    proof = CrashProof(scenario("collection beside a backup"), 1)
    monkeypatch.setattr(Collection, "_needed_again", lambda *_: set())
    with pytest.raises(BrokenPromise):
        proof.cut_calls(mixtures=0)
