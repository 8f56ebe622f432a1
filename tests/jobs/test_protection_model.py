"""The life of protection against a small model: any sequence of requests, backups and days.

The model knows the rules only from the documentation, keeps plain numbers, and shares no code with what it
judges. After each step catalog and vaults must hold what it holds.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from overwinter.model.errors import NotFound, OverwinterError
from overwinter.model.protection import ProtectedItem, Vault
from overwinter.model.vault_rules import Immutability, SoftDelete
from tests.jobs.desk import DAY, START, Desk, make_machine

pytestmark = pytest.mark.libvirt


@dataclass
class Point:
    """Days since the start; ``end`` is when it expires, ``gone`` when it goes after its own deletion."""

    made: float
    end: float
    gone: float | None = None


@dataclass
class Item:
    state: str = "pending"
    days: int = 30
    gone: float | None = None
    points: dict[str, Point] = field(default_factory=dict)

    @property
    def active(self) -> bool:
        return self.state in ("pending", "protected")

    def living(self) -> list[str]:
        living = {name: point for name, point in self.points.items() if point.gone is None}
        return sorted(living, key=lambda name: living[name].made)


@dataclass
class Box:
    """A vault."""

    real: Vault
    soft: str = "enabled"
    days: int = 14
    immutable: str = "disabled"
    item: Item | None = None

    def kept(self, now: float) -> float:
        return now if self.soft == "disabled" else now + self.days

    def frees(self, point: Point, now: float) -> bool:
        return self.immutable == "disabled" or point.end <= now


POLICIES = {"DefaultPolicy": 30, "Short": 10}
WHICH = st.integers(0, 1)


class Life(RuleBasedStateMachine):
    """One VM, two vaults."""

    desk: Desk

    @initialize()
    def begin(self) -> None:
        self.machine = make_machine()
        self.boxes = [Box(self.desk.vault()), Box(self.desk.vault())]
        for box in self.boxes:
            self.desk.policy(box.real, "Short", POLICIES["Short"])

    def teardown(self) -> None:
        self.desk.clear()

    @property
    def now(self) -> float:
        return (self.desk.clock.now - START) / DAY

    def asked(self, expected: str | None, request: Callable[[], object]) -> None:
        """Make a request that must be refused with a code, or be carried out."""
        try:
            made = request()
        except OverwinterError as error:
            assert error.code == expected, f"refused with {error.code}, not {expected}: {error.message}"
            return
        assert expected is None, f"not refused with {expected}"
        if made is not None and hasattr(made, "operation"):
            self.desk.completed(made)  # type: ignore[arg-type]

    def real_item(self, box: Box) -> ProtectedItem:
        return self.desk.item(box.real, self.machine)

    @rule(which=WHICH, policy=st.sampled_from(list(POLICIES)))
    def protect(self, which: int, policy: str) -> None:
        box, other = self.boxes[which], self.boxes[1 - which]
        item = box.item or Item(days=POLICIES[policy])
        expected = None
        if item.gone is not None:
            expected = "ItemSoftDeleted"
        elif box.item and box.immutable != "disabled" and POLICIES[policy] < item.days:
            expected = "VaultImmutable"
        elif other.item is not None and other.item.active:
            expected = "ProtectedInAnotherVault"
        self.asked(expected, lambda: self.desk.service.protect(box.real, self.machine, policy))
        if expected is None:
            item.days = POLICIES[policy]
            if not item.active:
                item.state = "protected" if item.points else "pending"
            box.item = item

    @precondition(lambda self: any(box.item and box.item.active for box in self.boxes))
    @rule()
    def back_up(self) -> None:
        box = next(box for box in self.boxes if box.item and box.item.active)
        assert box.item is not None
        end = self.desk.clock.now + timedelta(days=box.item.days)
        point = self.desk.backup(self.real_item(box), end)
        box.item.points[point.id] = Point(self.now, (end - START) / DAY)
        box.item.state = "protected"

    @precondition(lambda self: any(box.item for box in self.boxes))
    @rule(which=WHICH, suspend=st.booleans())
    def stop(self, which: int, suspend: bool) -> None:
        box = self.boxes[which]
        if box.item is None:
            return
        expected = None if box.item.gone is None else "ItemSoftDeleted"
        self.asked(expected, lambda: self.desk.service.protection.stop(self.real_item(box), expire=suspend))
        if expected is None:
            box.item.state = "suspended" if suspend else "stopped"

    @precondition(lambda self: any(box.item for box in self.boxes))
    @rule(which=WHICH)
    def delete(self, which: int) -> None:
        box = self.boxes[which]
        item = box.item
        if item is None:
            return
        now = self.now
        expected = None
        if item.gone is not None:
            expected = "ItemSoftDeleted"
        elif not all(box.frees(item.points[name], now) for name in item.living()):
            expected = "VaultImmutable"
        self.asked(expected, lambda: self.desk.service.protection.delete_data(self.real_item(box)))
        if expected is not None:
            return
        item.state = "stopped"
        for name in item.living():
            if box.soft == "disabled":
                del item.points[name]
        ends = [point.gone or box.kept(now) for point in item.points.values()]
        item.gone = max(ends, default=None)
        if not ends:
            box.item = None

    @precondition(lambda self: any(box.item and box.item.gone for box in self.boxes))
    @rule()
    def undelete(self) -> None:
        for box in self.boxes:
            if box.item is not None and box.item.gone is not None:
                self.asked(None, lambda box=box: self.desk.service.protection.undelete(self.real_item(box)))
                box.item.gone = None

    @precondition(lambda self: any(box.item and box.item.points for box in self.boxes))
    @rule(which=WHICH, place=st.integers(0, 3))
    def delete_point(self, which: int, place: int) -> None:
        box = self.boxes[which]
        if box.item is None or not box.item.points:
            return
        name = sorted(box.item.points)[place % len(box.item.points)]
        point, now = box.item.points[name], self.now
        expected = None
        if box.item.gone is not None or point.gone is not None:
            expected = "ItemSoftDeleted"
        elif name == box.item.living()[-1]:
            expected = "NewestPointStays"
        elif not box.frees(point, now):
            expected = "VaultImmutable"
        self.asked(expected, lambda: self.desk.service.protection.delete_point(self.real_item(box), name))
        if expected is None:
            point.gone = box.kept(now)
            if box.soft == "disabled":
                del box.item.points[name]

    @precondition(lambda self: any(p.gone for b in self.boxes if b.item for p in b.item.points.values()))
    @rule(which=WHICH)
    def undelete_points(self, which: int) -> None:
        box = self.boxes[which]
        for name, point in box.item.points.items() if box.item else ():
            if point.gone is not None:
                item = self.real_item(box)
                expected = None if box.item and box.item.gone is None else "ItemSoftDeleted"
                self.asked(expected, partial(self.desk.service.protection.undelete_point, item, name))
                if expected is None:
                    point.gone, point.end = None, max(point.end, self.now + box.days)

    @rule(which=WHICH, soft=st.sampled_from(SoftDelete), days=st.sampled_from([14, 30]))
    def change_soft_delete(self, which: int, soft: SoftDelete, days: int) -> None:
        box, wanted = self.boxes[which], soft.name.lower()
        final = box.soft == "always_on" and wanted != "always_on"
        expected = "VaultSettingIrreversible" if final else None
        vaults, name = self.desk.service.vaults, box.real.name
        self.asked(expected, lambda: vaults.set_rules(name, soft_delete=soft, soft_delete_days=days))
        if expected is None:
            box.soft, box.days = wanted, days

    @rule(which=WHICH, immutability=st.sampled_from(Immutability))
    def change_immutability(self, which: int, immutability: Immutability) -> None:
        box, wanted = self.boxes[which], immutability.name.lower()
        final = box.immutable == "locked" and wanted != "locked"
        expected = "VaultSettingIrreversible" if final else None
        vaults = self.desk.service.vaults
        self.asked(expected, lambda: vaults.set_rules(box.real.name, immutability=immutability))
        if expected is None:
            box.immutable = wanted

    @rule(days=st.sampled_from([0.4, 3, 9, 15, 31]))
    def days_pass(self, days: float) -> None:
        self.desk.days_pass(days)
        now = self.now
        for box in self.boxes:
            item = box.item
            if item is None:
                continue
            if item.gone is not None:
                if item.gone <= now:
                    box.item = None
                continue
            for name in [name for name, point in item.points.items() if point.gone and point.gone <= now]:
                del item.points[name]
            if item.state != "stopped":
                for name in item.living()[:-1]:
                    if item.points[name].end <= now:
                        del item.points[name]

    @invariant()
    def all_is_as_it_should_be(self) -> None:
        if not hasattr(self, "boxes"):
            return
        for box in self.boxes:
            if box.item is None:
                with pytest.raises(NotFound):
                    self.real_item(box)
                assert self.desk.store(box.real).manifests() == []
                continue
            real = self.real_item(box)
            state = {"pending": "IRPending", "protected": "Protected"}.get(box.item.state)
            state = state or {"stopped": "ProtectionStopped", "suspended": "BackupsSuspended"}[box.item.state]
            assert (real.state.value, real.is_deleted) == (state, box.item.gone is not None)
            found = {point.id: point for point in self.desk.service.recovery_points(real)}
            assert found.keys() == box.item.points.keys()
            store = self.desk.store(box.real)
            there = {manifest.point_id for manifest in store.manifests()}
            living = set() if box.item.gone is not None else {found[n].manifest for n in box.item.living()}
            assert there == living, "what can be restored is in the vault, and nothing else is offered there"
            kept = {each.manifest.point_id for each in store.deleted_points()}
            ends = {n: p.gone or box.item.gone for n, p in box.item.points.items()}
            assert {found[n].manifest for n, end in ends.items() if end and end > self.now} <= kept
            assert store.rules() is not None


def test_life_of_protection(desk: Desk) -> None:
    class OnDesk(Life):
        pass

    OnDesk.desk = desk
    run_state_machine_as_test(
        OnDesk,
        settings=settings(
            max_examples=8,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
