"""Death at every place of stopping, deleting, having back and expiring: run again, all comes right.

The places are found by a first run that reaches them all. Dying is an exception that nothing catches, in the
step itself, which then runs again as the engine would run it.
"""

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

import pytest

from overwinter.catalog import jobs as job_table
from overwinter.jobs import deletion, expiry, faults, protection
from overwinter.jobs.protection_admin import ProtectionAdmin
from overwinter.model.errors import NotFound
from overwinter.model.job import Job, JobStatus
from overwinter.model.protection import ProtectedItem, Vault
from overwinter.model.vault_rules import SoftDelete
from overwinter.model.vm import VirtualMachine
from tests.jobs.desk import DAY, Desk, make_machine

pytestmark = pytest.mark.libvirt


class Killed(BaseException):
    """The process is dead."""


class _Nobody:
    """An engine that never comes to its work."""

    def enqueue(self, job: Job) -> None: ...


class Scene:
    """An item with two points and what becomes of it."""

    def __init__(self, desk: Desk, *, softly: bool) -> None:
        self.desk = desk
        self.vault: Vault = desk.vault()
        self.machine: VirtualMachine = make_machine()
        if not softly:
            desk.service.vaults.set_rules(self.vault.name, soft_delete=SoftDelete.DISABLED)
        item = desk.protect(self.vault, self.machine)
        for _ in range(2):
            desk.backup(item, desk.clock.now + 30 * DAY)
        self.admin = ProtectionAdmin(desk.runtime, _Nobody())  # type: ignore[arg-type]

    @property
    def item(self) -> ProtectedItem:
        return self.desk.item(self.vault, self.machine)

    def outcome(self) -> object:
        """All that a user sees of the item, and what the vault holds; times from now on."""
        store, now = self.desk.store(self.vault), self.desk.clock.now
        try:
            item = self.item
        except NotFound:
            seen: object = None
        else:
            shown = [(p.deleted_until, p.expires) for p in self.desk.service.recovery_points(item)]
            until = item.deleted_until
            seen = (item.state, until and until - now, [self._from_now(times) for times in shown])
        return seen, len(store.manifests()), len(store.deleted_points())

    def packs(self) -> int:
        """How many packs the vault has: those of points that are gone must go."""
        return sum(
            each.objects for each in self.desk.store(self.vault).stats().objects if each.kind == "packs"
        )

    def _from_now(self, times: tuple[datetime | None, ...]) -> list[int | None]:
        return [None if time is None else round((time - self.desk.clock.now) / DAY) for time in times]

    def end(self, job: Job) -> None:
        with self.desk.runtime.catalog.transaction() as tx:
            now = self.desk.clock.now
            job_table.finish(tx, job.id, status=JobStatus.COMPLETED, ended=now, errors=(), properties={})


def _nothing() -> None: ...


def stop(scene: Scene) -> tuple[Job | None, Callable[[UUID], object]]:
    job = scene.admin.stop(scene.item)
    return job, lambda job_id: protection.stop(scene.desk.runtime, job_id, _nothing)


def delete(scene: Scene) -> tuple[Job | None, Callable[[UUID], object]]:
    job = scene.admin.delete_data(scene.item)

    def steps(job_id: UUID) -> None:
        protection.stop(scene.desk.runtime, job_id, _nothing)
        deletion.delete_data(scene.desk.runtime, job_id, _nothing)

    return job, steps


def undelete(scene: Scene) -> tuple[Job | None, Callable[[UUID], object]]:
    scene.desk.completed(scene.desk.service.protection.delete_data(scene.item))
    job = scene.admin.undelete(scene.item)
    return job, lambda job_id: deletion.undelete(scene.desk.runtime, job_id, _nothing)


def purge(scene: Scene) -> tuple[Job | None, Callable[[UUID], object]]:
    scene.desk.completed(scene.desk.service.protection.delete_data(scene.item))
    return None, _clean_up(scene, days=15)


def expire(scene: Scene) -> tuple[Job | None, Callable[[UUID], object]]:
    return None, _clean_up(scene, days=31)


def _clean_up(scene: Scene, days: int) -> Callable[[UUID], object]:
    runtime = scene.desk.runtime
    store = scene.desk.store(scene.vault)
    scene.desk.clock.now += days * DAY
    return lambda _: expiry.run(runtime, scene.vault, store, _nothing, collect=True)


WORK = {
    "stop": (stop, True),
    "delete softly": (delete, True),
    "delete at once": (delete, False),
    "undelete": (undelete, True),
    "purge": (purge, True),
    "expire": (expire, True),
}


def run(
    monkeypatch: pytest.MonkeyPatch, desk: Desk, name: str, die_at: int | None
) -> tuple[object, list[str], Scene]:
    """Do the work and die at the place of that number, then do it again; the places of the first try."""
    begin, softly = WORK[name]
    scene = Scene(desk, softly=softly)
    job, work = begin(scene)
    job_id = job.id if job is not None else UUID(int=0)
    places: list[str] = []

    def place(reached: str) -> None:
        places.append(reached)
        if die_at == len(places) - 1:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(faults, "place", place)
        if die_at is None:
            work(job_id)
        else:
            with pytest.raises(Killed):
                work(job_id)
    if die_at is not None:
        work(job_id)
    if job is not None:
        scene.end(job)
    return scene.outcome(), places, scene


@pytest.mark.parametrize("name", WORK)
def test_every_place(monkeypatch: pytest.MonkeyPatch, desk: Desk, name: str) -> None:
    expected, places, whole = run(monkeypatch, desk, name, None)
    assert places or name == "stop", "this VM has no disks to flatten"
    for number in range(len(places)):
        outcome, reached, scene = run(monkeypatch, desk, name, number)
        assert outcome == expected, f"after death at {reached[-1]} ({number})"
        scene.desk.look()
        assert (scene.outcome(), scene.packs()) == (expected, whole.packs()), "and after the next upkeep"


def test_unfinished_deletion_of_a_point(monkeypatch: pytest.MonkeyPatch, desk: Desk) -> None:
    """The vault has deleted it and the service died: the catalog learns it from the vault."""
    scene = Scene(desk, softly=True)
    first = desk.service.recovery_points(scene.item)[0]
    desk.store(scene.vault).delete_point(
        str(first.manifest), now=desk.clock.now, until=desk.clock.now + 14 * DAY
    )
    assert desk.service.recovery_point(scene.item, first.id).deleted_until is None
    desk.completed(desk.service.vaults.clean_up(scene.vault.name))
    known = desk.service.recovery_point(scene.item, first.id)
    assert known.deleted_until == desk.clock.now + 14 * DAY
    desk.days_pass(14)
    assert len(desk.service.recovery_points(scene.item)) == len(desk.store(scene.vault).manifests()) == 1
