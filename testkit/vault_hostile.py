"""Damage done to a vault on purpose: what comes back is right, or an error that names the damage.

``Subject`` is a vault as an attacker or a bad disk may find it; ``damages`` are its objects cut, removed,
swapped, copied and put back to what they were. ``flips`` changes every byte.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from itertools import permutations
from random import Random

from overwinter.model.errors import OverwinterError, VaultPointLocked
from overwinter.vault import Manifest, VaultStore
from overwinter.vault.damage import put_damaged, put_lost
from overwinter.vault.rebuild import rebuild_index_on
from overwinter.vault.seal import ID_LENGTH
from overwinter.vault.table import Keys
from testkit.memory_storage import MemoryStorage
from testkit.tiny_vaults import CHUNK, NOW, Disks, back_up, create, key, process, read, reopen, session
from testkit.vault_check import NEXT_POINT, BrokenPromise, PointLost, WrongData

#: The point of ``small_vault`` that must not be deleted.
LOCKED = "2"

#: A process that is no more.
_DEAD = 1

_DAYS = timedelta(days=14)

#: Lengths to which objects are cut: within the header, at its end, within what follows.
_CUTS = (0, 1, 8, 39, 40, 41, 60)


class DamageNotNamed(BrokenPromise):
    """An error does not say which object is damaged."""


@dataclass(frozen=True)
class Subject:
    """A vault: its objects and points, and the objects and points that it had before and has no longer."""

    objects: dict[str, bytes]
    points: dict[str, Disks]
    former: dict[str, bytes]
    deleted: dict[str, Disks]


@dataclass(frozen=True)
class Damage:
    """The objects after something was done to them.

    An error must name one of ``names``, when there are any; ``hidden`` points need not be listed. Where
    every object is ``authentic``, a point that is added must be whole.
    """

    what: str
    objects: dict[str, bytes]
    names: tuple[str, ...] = ()
    hidden: frozenset[str] = frozenset()
    authentic: bool = False


def small_vault(seed: int) -> Subject:
    """Points of two disks, one of them locked, deleted points, dead sessions, in as few bytes as can be."""
    random = Random(seed)
    storage = MemoryStorage()
    vault = create(storage, random)

    def text() -> bytes:
        return (random.randbytes(4).hex().encode() * CHUNK)[:CHUNK]

    shared = text()
    first = (text() + bytes(CHUNK) + shared + random.randbytes(20), shared + text())
    second = (first[0][:CHUNK] + text() + first[0][2 * CHUNK :], first[1])
    third = (text() + random.randbytes(50), text())
    fourth = (text(), shared + random.randbytes(30))
    manifest = back_up(vault, "1", first)
    back_up(vault, "2", second, (manifest, first))
    back_up(vault, "3", third)
    back_up(vault, "4", fourth)
    vault.lock_point(LOCKED, NOW + _DAYS)
    _remember_damage(vault)
    vault.delete_point("1", now=NOW, until=NOW + _DAYS)
    with session(reopen(storage, random, presence=process(_DEAD)), "5"):
        before = dict(storage.objects)
        vault.delete_point("4", now=NOW)
        vault.collect(now=NOW)
    with session(reopen(storage, random, presence=process(_DEAD)), "6"):
        objects = dict(storage.objects)
    former = {name: content for name, content in before.items() if name not in objects}
    return Subject(objects, {"2": second, "3": third}, former, {"1": first, "4": fourth})


def _remember_damage(vault: VaultStore) -> None:
    """Put what verification puts: here it names nothing that anybody needs."""
    blobs = vault._blobs
    (pack, *_) = sorted(blobs.index.packs())
    put_damaged(blobs, pack, [])
    put_lost(blobs, Keys.of(bytes(range(ID_LENGTH))), Keys.of(b""))


class Examiner:
    """Reads all that can be read of a damaged vault. Raises ``BrokenPromise`` when it should not be so."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject

    def examine(self, damage: Damage) -> bool:
        """Open, read every point, add one, collect, and read again; gives whether the damage was noticed."""
        storage = MemoryStorage(damage.objects)
        seen = _Errors(damage)
        again = tuple(disk for disks in self._subject.deleted.values() for disk in disks)
        with seen.expected():
            vault = reopen(storage, Random(1))
            readable = self._read(vault, seen)
            with seen.expected():
                back_up(vault, NEXT_POINT, again)
                if damage.authentic:
                    readable[NEXT_POINT] = again
                else:
                    self._must_be_locked(vault, seen)
            self._must_read(storage, readable, damage)
            with seen.expected():
                vault.collect(now=NOW)
            self._must_read(storage, readable, damage)
        return seen.any

    def flips(self, mask: int, first: int = 0, step: int = 1) -> Iterator[bool]:
        """Change every ``step``-th byte by ``mask`` and read what depends on it; gives what was noticed."""
        for name, content in self._subject.objects.items():
            storage = MemoryStorage(self._subject.objects)
            for place in range(min(first, len(content) - 1), len(content), step):
                changed = bytearray(content)
                changed[place] ^= mask
                storage.objects[name] = bytes(changed)
                seen = _Errors(Damage(f"byte {place} of {name} changed", storage.objects, (name,)))
                with seen.expected():
                    self._read(reopen(storage, Random(1)), seen)
                    if not seen.any:
                        self._read_by_new_index(seen) if name.startswith("packs/") else self._work(seen)
                yield seen.any

    def _read(self, vault: VaultStore, seen: "_Errors") -> dict[str, Disks]:
        """Read every point; gives those that could be read."""
        readable = {}
        for manifest in self._manifests(vault, seen):
            with seen.expected():
                point, disks = manifest.point_id, read(vault, manifest)
                if disks != {**self._subject.points, **self._subject.deleted}.get(point):
                    raise WrongData(f"{seen.damage.what}: point {point} is not what was stored")
                readable[point] = disks
        return readable

    def _manifests(self, vault: VaultStore, seen: "_Errors") -> list[Manifest]:
        """The points as listed, deleted ones too, or, when they cannot be listed, each for itself."""
        with seen.expected():
            listed = [*vault.manifests(), *(point.manifest for point in vault.deleted_points())]
            missing = self._subject.points.keys() - {manifest.point_id for manifest in listed}
            if not missing <= seen.damage.hidden:
                raise PointLost(f"{seen.damage.what}: points {missing} are not listed, without an error")
            return listed
        single = []
        for point in self._subject.points:
            with seen.expected():
                single.append(vault.manifest(point))
        return single

    def _work(self, seen: "_Errors") -> None:
        """Do what needs the objects that writers steer each other by."""
        storage = MemoryStorage(seen.damage.objects)
        vault = reopen(storage, Random(3))
        self._must_be_locked(vault, seen)
        with seen.expected():
            vault.collect(now=NOW)
        self._must_read(storage, self._subject.points, seen.damage)

    def _must_be_locked(self, vault: VaultStore, seen: "_Errors") -> None:
        with seen.expected(), suppress(VaultPointLocked):
            vault.delete_point(LOCKED, now=NOW)
            raise PointLost(f"{seen.damage.what}: the lock of point {LOCKED} does not hold")

    def _read_by_new_index(self, seen: "_Errors") -> None:
        storage = MemoryStorage(seen.damage.objects)
        with seen.expected():
            rebuild_index_on(storage, "file:///vault", key(), Random(3).randbytes)
            self._must_read(storage, self._subject.points, seen.damage)

    def _must_read(self, storage: MemoryStorage, points: dict[str, Disks], damage: Damage) -> None:
        """What could be read before can be read still."""
        vault = reopen(storage, Random(2))
        for point, disks in points.items():
            try:
                right = read(vault, vault.manifest(point)) == disks
            except OverwinterError as error:
                raise PointLost(
                    f"{damage.what}: point {point} was lost by what came after: {error}"
                ) from error
            if not right:
                raise WrongData(f"{damage.what}: point {point} is not what was stored")


class _Errors:
    """The errors that a damage led to."""

    def __init__(self, damage: Damage) -> None:
        self.damage = damage
        self.any = False

    @contextmanager
    def expected(self) -> Iterator[None]:
        """An error of the house is right here, when it names the damage."""
        try:
            yield
        except OverwinterError as error:
            self.any = True
            names = self.damage.names
            if names and not any(name in error.message for name in names):
                raise DamageNotNamed(f"{self.damage.what}, and the error says: {error.message}") from error


def damages(subject: Subject, seed: int) -> Iterator[Damage]:
    """Objects cut, lengthened, made noise of, copied and swapped."""
    random = Random(seed)
    objects = subject.objects
    for name, content in objects.items():
        lengths = {*_CUTS, len(content) // 2, len(content) - 5, len(content) - 1}
        for length in sorted(length for length in lengths if length < len(content)):
            yield Damage(f"{name} cut to {length}", {**objects, name: content[:length]}, (name,))
        yield Damage(f"{name} lengthened", {**objects, name: content + b"\0"}, (name,))
        yield Damage(f"{name} is noise", {**objects, name: random.randbytes(len(content))}, (name,))
        twin = _like(name, random)
        yield Damage(f"{name} copied to {twin}", {**objects, twin: content}, (name, twin))
    for name, other in permutations(objects, 2):
        yield Damage(f"{other} in the place of {name}", {**objects, name: objects[other]}, (name,))


def losses(subject: Subject) -> Iterator[Damage]:
    """Objects removed, and former ones put back."""
    objects = subject.objects
    for name in objects:
        others = {other: content for other, content in objects.items() if other != name}
        hidden = frozenset(subject.points) if name.startswith("manifests/") else frozenset[str]()
        yield Damage(f"{name} removed", others, hidden=hidden, authentic=True)
    for name, content in subject.former.items():
        yield Damage(f"{name} put back", {**objects, name: content}, authentic=True)
    yield Damage("all that was removed put back", {**objects, **subject.former}, authentic=True)


def _like(name: str, random: Random) -> str:
    """Another name of the same kind."""
    directory, _, last = name.rpartition("/")
    digits = random.randbytes(len(last) // 2).hex()
    if directory.startswith("packs"):
        directory = f"packs/{digits[:2]}"
    return f"{directory}/{digits}" if directory else digits
