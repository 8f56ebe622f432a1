"""What is done to a vault while every change is recorded: each scenario prepares a vault, then acts on it."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from random import Random

from overwinter.model.errors import VaultError
from overwinter.vault import KeySource, Manifest, VaultStore, copy_points
from overwinter.vault.rebuild import rebuild_index_on
from overwinter.vault.storage import Storage
from testkit import tiny_vaults
from testkit.memory_storage import MemoryStorage
from testkit.tiny_vaults import NOW, Disks, process
from testkit.vault_promises import Ledger, Promises

#: How long a point that is deleted for days can be had back.
_KEPT = timedelta(days=14)


@dataclass(frozen=True)
class _Source:
    """A vault that is only read."""

    vault: VaultStore
    points: dict[str, Disks]


class World:
    """One vault, the process that works with it, and what it has promised.

    ``place`` is the length of its history.
    """

    def __init__(self, storage: Storage, place: Callable[[], int], random: Random) -> None:
        self.storage = storage
        self.random = random
        self.points: Ledger[Disks] = Ledger(place)
        self.kept: Ledger[Disks] = Ledger(place)
        self.keys: Ledger[KeySource] = Ledger(place)
        self.process = 1
        self._vault: VaultStore | None = None
        self._committed: dict[str, tuple[Manifest, Disks]] = {}
        self._again: Callable[[], None] | None = None
        self._source: _Source | None = None

    def continued(self, storage: Storage, place: Callable[[], int], random: Random) -> "World":
        """The same vault on a storage of equal content, whose history begins now."""
        world = World(storage, place, random)
        world.points.take_over(self.points)
        world.kept.take_over(self.kept)
        world.keys.take_over(self.keys)
        world._committed = dict(self._committed)
        world._source = self._source
        return world

    def promises(self, place: int) -> Promises:
        """What was promised when ``place`` changes had been carried out."""
        return Promises(self.points.at(place), self.kept.at(place), self.keys.at(place))

    @property
    def vault(self) -> VaultStore:
        """The open vault."""
        if self._vault is None:
            self._vault = tiny_vaults.reopen(self.storage, self.random, presence=process(self.process))
        return self._vault

    def create(self) -> None:
        """Make the vault."""
        with self.keys.making("first", tiny_vaults.key()):
            self._vault = tiny_vaults.create(self.storage, self.random, process(self.process))

    def back_up(self, point: str, parent: str | None = None) -> None:
        """Add a point of two disks, built upon another or of new disks."""
        if parent is None:
            self._add(point, tiny_vaults.some_disks(self.random))
        else:
            disks = tiny_vaults.changed(self.random, self._committed[parent][1])
            self._add(point, disks, self._committed[parent])

    def die(self) -> None:
        """The process that worked here is gone; from now on another one does."""
        self.process += 1
        self._vault = None

    def succeed(self) -> None:
        """What follows a failure: the backup or copy that failed runs again; without one, a new backup.

        A vault whose making failed is made anew.
        """
        if not self.keys.names:
            try:
                self._vault = tiny_vaults.reopen(self.storage, self.random, presence=process(self.process))
            except VaultError:
                self.create()
        (self._again or partial(self._add, "700", tiny_vaults.some_disks(self.random)))()

    def begin_and_give_up(self) -> None:
        """A session that stores disks and never commits."""
        with tiny_vaults.session(self.vault, "800") as opened:
            tiny_vaults.transfer(opened, "800", tiny_vaults.some_disks(self.random))
            opened.flush()

    def collect_beside_backup(self, point: str, parent: str) -> None:
        """Collection while a session has stored all and not committed."""
        disks = tiny_vaults.changed(self.random, self._committed[parent][1])
        self._add(point, disks, self._committed[parent], before_commit=self.collect)

    def delete(self, point: str) -> None:
        """Delete a point at once."""
        with self.points.removing(point), self.kept.removing(point):
            self.vault.delete_point(point, now=NOW)

    def delete_for_days(self, point: str) -> None:
        """Delete a point that can be had back for some days."""
        with self.points.removing(point):
            self.vault.delete_point(point, now=NOW, until=NOW + _KEPT)

    def undelete(self, point: str) -> None:
        """Have a deleted point back."""
        with self.points.making(point, self._committed[point][1]):
            self.vault.undelete_point(point, now=NOW)

    def collect(self) -> None:
        """Free what no point needs."""
        self.vault.collect(now=NOW)

    def collect_after_days(self, *deleted: str) -> None:
        """Collect when the days of all deleted points are over."""
        with ExitStack() as stack:
            for point in deleted:
                stack.enter_context(self.kept.removing(point))
            self.vault.collect(now=NOW + _KEPT)

    def rebuild_index(self) -> None:
        """Make the index anew; no session is open."""
        self._vault = None
        rebuild_index_on(self.storage, "file:///vault", tiny_vaults.key(), self.random.randbytes)

    def prepare_source(self) -> None:
        """Make another vault of some points, which can be copied to this one."""
        vault = tiny_vaults.create(MemoryStorage(), self.random)
        first = tiny_vaults.some_disks(self.random)
        second = tiny_vaults.changed(self.random, first)
        manifest = tiny_vaults.back_up(vault, "21", first)
        tiny_vaults.back_up(vault, "22", second, (manifest, first))
        self._source = _Source(vault, {"21": first, "22": second})

    def copy(self) -> None:
        """Copy what the other vault has to this one."""
        assert self._source is not None, "no source is prepared"
        self._again = self.copy
        with ExitStack() as stack:
            for point, disks in self._source.points.items():
                stack.enter_context(self.points.making(point, disks))
                stack.enter_context(self.kept.making(point, disks))
            copy_points(self._source.vault, self.vault)
        self._again = None

    def tear_pack(self) -> None:
        """Damage the directory of a pack: its blobs can still be read by the index."""
        name = self.storage.list("packs/")[0].name
        content = bytearray(self.storage.get(name))
        content[-3] ^= 0x10
        self.storage.delete([name])
        self.storage.put(name, [content])

    def repair(self) -> None:
        """Repair the vault; no session is open."""
        self._vault = None
        tiny_vaults.repair(self.storage, self.random, process(self.process))

    def add_key(self, number: int) -> None:
        """Let one more key open the vault."""
        source = tiny_vaults.key(number)
        with self.keys.making(f"key {number}", source):
            tiny_vaults.add_key(self.storage, self.random, source)

    def remove_key(self, number: int) -> None:
        """Let a key open the vault no longer."""
        with self.keys.removing(f"key {number}"):
            tiny_vaults.remove_key(self.storage, self.random, tiny_vaults.key(number))

    def _add(
        self,
        point: str,
        disks: Disks,
        parent: tuple[Manifest, Disks] | None = None,
        before_commit: Callable[[], None] | None = None,
    ) -> None:
        self._again = partial(self._add, point, disks)
        with (
            self.points.making(point, disks),
            self.kept.making(point, disks),
            tiny_vaults.session(self.vault, point) as opened,
        ):
            manifest = tiny_vaults.transfer(opened, point, disks, parent)
            if before_commit is not None:
                opened.flush()
                before_commit()
            opened.commit(manifest)
        self._committed[point] = manifest, disks
        self._again = None


Action = Callable[[World], None]


@dataclass(frozen=True)
class Scenario:
    """A vault is made by ``prepare``; what ``act`` does to it is recorded."""

    name: str
    prepare: Action
    act: Action


def _nothing(_world: World) -> None: ...


def _create(world: World) -> None:
    world.create()
    world.back_up("1")


def _some_points(world: World) -> None:
    world.create()
    world.back_up("1")
    world.back_up("2", parent="1")
    world.back_up("3")


def _backups(world: World) -> None:
    world.back_up("4")
    world.back_up("5", parent="4")


def _deletion(world: World) -> None:
    world.delete("1")
    world.delete("3")


def _points_and_garbage(world: World) -> None:
    _some_points(world)
    world.begin_and_give_up()
    world.delete("3")
    world.delete("1")


def _points_and_torn_pack(world: World) -> None:
    _points_and_garbage(world)
    world.tear_pack()


def _delete_and_collect(world: World) -> None:
    world.delete("1")
    world.delete("3")
    world.collect()
    world.back_up("4", parent="2")
    world.delete("2")
    world.collect()


def _points_and_source(world: World) -> None:
    _some_points(world)
    world.prepare_source()


def _collect_beside_backup(world: World) -> None:
    world.collect_beside_backup("4", parent="2")


def _mixture(world: World) -> None:
    for point in range(10, 16):
        names = world.points.names
        match world.random.choice(
            ["new", "increment", "increment", "delete", "collect", "give up", "rebuild"]
        ):
            case "new":
                world.back_up(str(point))
            case "increment":
                world.back_up(str(point), parent=names[-1])
            case "delete" if len(names) > 1:
                world.delete(names[0])
            case "give up":
                world.begin_and_give_up()
            case "rebuild":
                world.rebuild_index()
            case _:
                world.collect()


def _deletion_for_days(world: World) -> None:
    world.delete_for_days("1")
    world.delete_for_days("3")
    world.undelete("1")
    world.collect()
    world.collect_after_days("3")


def _keys(world: World) -> None:
    world.add_key(1)
    world.add_key(2)
    world.remove_key(1)


SCENARIOS = (
    Scenario("create", _nothing, _create),
    Scenario("backups", _some_points, _backups),
    Scenario("deletion", _some_points, _deletion),
    Scenario("deletion for days", _some_points, _deletion_for_days),
    Scenario("collection", _points_and_garbage, World.collect),
    Scenario("deletion and collection", _some_points, _delete_and_collect),
    Scenario("collection beside a backup", _points_and_garbage, _collect_beside_backup),
    Scenario("index rebuilt", _points_and_garbage, World.rebuild_index),
    Scenario("repair", _points_and_torn_pack, World.repair),
    Scenario("copy", _points_and_source, World.copy),
    Scenario("keys", _some_points, _keys),
    Scenario("mixture", _some_points, _mixture),
)
