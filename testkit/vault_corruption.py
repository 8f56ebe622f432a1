"""Damage to a vault in use: what it took is told by verification, everything else is there, bit by bit.

An object is changed in a copy of all objects as they are at one moment, with points that come and go and work
that never ends, since all who did it are taken for dead.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from overwinter.model.errors import OverwinterError, VaultFormatUnsupported
from overwinter.vault import VaultStore
from testkit.memory_storage import MemoryStorage
from testkit.tiny_vaults import Disks, all_others_dead, read, reopen, repair
from testkit.vault_check import PointLost, Unusable, WrongData

#: What can happen to an object.
_WAYS = ("a bit flipped", "cut", "removed", "swapped", "made noise")


@dataclass(frozen=True)
class Corruption:
    """The objects after one of them was damaged."""

    what: str
    name: str
    objects: dict[str, bytes]

    @classmethod
    def of(cls, objects: Mapping[str, bytes], random: Random) -> "Corruption":
        """A random one."""
        name, way = random.choice(sorted(objects)), random.choice(_WAYS)
        changed = bytearray(objects[name])
        match way:
            case "a bit flipped":
                changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
            case "cut":
                del changed[random.randrange(len(changed)) :]
            case "swapped":
                kind = name.partition("/")[0]
                alike = [other for other in sorted(objects) if other.partition("/")[0] == kind]
                changed = bytearray(objects[random.choice(alike)])
            case "made noise":
                changed = bytearray(random.randbytes(len(changed)))
        damaged = {**objects, name: bytes(changed)}
        if way == "removed":
            del damaged[name]
        return cls(f"{name} {way}", name, damaged)


def corrupt_and_check(objects: Mapping[str, bytes], points: Mapping[str, Disks], random: Random) -> None:
    """Damage a random object, read everything, verify, repair, read again. Raises ``BrokenPromise``.

    ``points`` has the content of every point that may be there.
    """
    with all_others_dead():
        corruption = Corruption.of(objects, random)
        storage = MemoryStorage(corruption.objects)
        needs = _needs(objects, points, random)
        undamaged = MemoryStorage(objects)
        repair(undamaged, random)  # removes packs that a collection has decided to delete
        needs_later = _needs(undamaged.objects, points, random)
        try:
            vault = reopen(storage, random)
        except OverwinterError:
            pass  # noticed
        else:
            _check_told(vault, corruption, points, _spared(needs, corruption))
        spared = _spared(needs_later, corruption)
        _check_repaired(storage, corruption, points, spared, is_empty=not needs, random=random)


def _spared(needs: dict[str, frozenset[str]], corruption: Corruption) -> set[str]:
    """The points that do not need the damaged object."""
    return {name for name, objects in needs.items() if corruption.name not in objects}


def _needs(
    objects: Mapping[str, bytes], points: Mapping[str, Disks], random: Random
) -> dict[str, frozenset[str]]:
    """The listed points, all of which can be read, and the manifests and packs that each was read from."""
    found = {}
    for manifest in reopen(MemoryStorage(objects), random).manifests():
        name = manifest.point_id
        storage = _Reads(objects)
        vault = reopen(storage, random)
        storage.names.clear()
        try:
            right = read(vault, vault.manifest(name)) == points[name]
        except OverwinterError as error:
            raise PointLost(f"point {name} cannot be read, without damage: {error.message}") from error
        if not right:
            raise WrongData(f"point {name} has other data than was stored, without damage")
        found[name] = frozenset(storage.names)
    return found


def _check_told(
    vault: VaultStore, corruption: Corruption, points: Mapping[str, Disks], spared: set[str]
) -> None:
    """Points that cannot be read are told by verification, and where a pack is damaged no others are."""
    lost = _lost(vault, corruption, points)
    report = vault.verify(read_percent=100)
    told = {disk.point_id for damage in report.damages for disk in damage.disks}
    if any(damage.object == corruption.name for damage in report.damages):
        told |= lost.keys() - spared  # a manifest that cannot be read has no name but the object's
    if untold := lost.keys() & spared - told:
        raise PointLost(f"{corruption.what}: verification does not tell that points {untold} are lost")
    if corruption.name.startswith("packs/") and (wrong := told & spared):
        raise PointLost(f"{corruption.what}: points {wrong} are told to be damaged, and do not need it")


def _lost(vault: VaultStore, corruption: Corruption, points: Mapping[str, Disks]) -> dict[str, str]:
    """The points that cannot be read, with the reason; what can be read is right."""
    lost = {}
    for name, disks in points.items():
        try:
            content = read(vault, vault.manifest(name))
        except OverwinterError as error:
            lost[name] = error.message
        else:
            if content != disks:
                raise WrongData(f"{corruption.what}: point {name} has other data than was stored")
    return lost


def _check_repaired(
    storage: MemoryStorage,
    corruption: Corruption,
    points: Mapping[str, Disks],
    spared: set[str],
    *,
    is_empty: bool,
    random: Random,
) -> None:
    """After a repair all is there but what only the damaged object held."""
    try:
        repair(storage, random)
    except OverwinterError as error:
        is_lost = corruption.name.startswith("keys/") or (is_empty and corruption.name == "config")
        if is_lost or isinstance(error, VaultFormatUnsupported):
            return
        raise Unusable(f"{corruption.what}: the vault cannot be repaired: {error.message}") from error
    lost = _lost(reopen(storage, random), corruption, points)
    if lost := {name: reason for name, reason in lost.items() if name in spared}:
        raise PointLost(f"{corruption.what}: after the repair points are lost: {lost}")


class _Reads(MemoryStorage):
    """Notes which objects are read."""

    def __init__(self, objects: Mapping[str, bytes]) -> None:
        super().__init__(objects)
        self.names: set[str] = set()

    def get(self, name: str) -> bytes:
        """See ``Storage.get``."""
        found = super().get(name)
        self.names.add(name)
        return found
