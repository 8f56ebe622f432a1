"""Whether a vault that was found in some state is as promised, and can be worked with."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from random import Random

from overwinter.model.errors import OverwinterError, VaultKeyWrong
from overwinter.vault import KeySource, Manifest, VaultStore
from overwinter.vault.storage import Buffer, Storage, StoredObject
from testkit.tiny_vaults import NOW, Disks, back_up, changed, create, key, read, reopen, some_disks
from testkit.vault_promises import Promised, Promises

#: The point that is added to see whether the vault can be worked with.
NEXT_POINT = "900"


class BrokenPromise(AssertionError):
    """Base of what a vault may do wrong."""


class PointLost(BrokenPromise):
    """A recovery point that must be there is not, or cannot be read."""


class WrongData(BrokenPromise):
    """Something was handed on that is not what was stored."""


class Unusable(BrokenPromise):
    """The vault cannot be worked with as it should."""


def check(
    storage: Storage,
    promises: Promises,
    random: Random,
    unfinished: Callable[[], Sequence[str]] = tuple,
) -> None:
    """Open the vault after all who used it have died, read every point, add one, collect, read all again.

    ``unfinished`` gives the files that are no objects. Raises ``BrokenPromise``.
    """
    seen = _PacksSeen(storage)
    with _usable():
        source, vault = open_as_promised(seen, promises.keys, random) or (key(), create(seen, random))
        found = read_points(vault, promises.points)
        listed = {manifest.point_id: content for manifest, content in found}
        kept = {**listed, **_deleted(vault, promises.kept, listed)}
        listed[NEXT_POINT] = kept[NEXT_POINT] = _next_backup(vault, found, promises.points, random)
        for attempt in range(2):
            vault.collect(now=NOW)
            vault = reopen(seen, random, source)
            seen.packs.clear()
            read_points(vault, Promised.exactly(listed))
            _deleted(vault, Promised.exactly(kept), listed)
            unread = {stored.name for stored in storage.list("packs/")} - seen.packs
            left = [*unread, *unfinished(), *(stored.name for stored in storage.list("sessions/"))]
            if not left:
                return
            if attempt:
                raise Unusable(f"collection left {left}")
            # The first one took up one that had died, and could remove only what that had found.


def open_as_promised(
    storage: Storage, keys: Promised[KeySource], random: Random
) -> tuple[KeySource, VaultStore] | None:
    """Open with every key that may open; gives one that does, or null when there is no vault yet."""
    opened = None
    for name, source in keys.may.items():
        try:
            opened = source, reopen(storage, random, source)
        except OverwinterError as error:
            if name in keys.must:
                raise PointLost(f"key {name} does not open the vault: {error.message}") from error
    for name, source in keys.gone.items():
        with suppress(VaultKeyWrong):
            reopen(storage, random, source)
            raise WrongData(f"key {name} opens the vault, and was removed")
    return opened


def read_points(vault: VaultStore, points: Promised[Disks]) -> list[tuple[Manifest, Disks]]:
    """Every listed point with its disks, all as promised. Raises ``PointLost`` and ``WrongData``."""
    try:
        found = [(manifest, read(vault, manifest)) for manifest in vault.manifests()]
    except OverwinterError as error:
        raise PointLost(f"a point cannot be read: {error.message}") from error
    for manifest, disks in found:
        point = manifest.point_id
        if point not in points.may:
            raise WrongData(f"point {point} is listed, and may not be there")
        if disks != points.may[point]:
            raise WrongData(f"point {point} has other data than was stored")
    if lost := set(points.must) - {manifest.point_id for manifest, _ in found}:
        raise PointLost(f"points {sorted(lost)} are not listed")
    return found


def _deleted(vault: VaultStore, kept: Promised[Disks], listed: dict[str, Disks]) -> dict[str, Disks]:
    """Every deleted point that is still kept, with its disks, as promised; errors as ``read_points``."""
    try:
        everything = [(point, read(vault, point.manifest)) for point in vault.deleted_points()]
    except OverwinterError as error:
        raise PointLost(f"a deleted point cannot be read: {error.message}") from error
    # Where the time is over, who deleted the point at once died before the end of it: a collection goes on.
    found = {point.manifest.point_id: disks for point, disks in everything if point.until > NOW}
    if wrong := [point for point, disks in found.items() if kept.may.get(point) != disks]:
        raise WrongData(f"deleted points {wrong} are there, and should not, or have other data")
    if lost := set(kept.must) - found.keys() - listed.keys():
        raise PointLost(f"points {sorted(lost)} are not there, not even as deleted ones")
    return found


def _next_backup(
    vault: VaultStore, found: list[tuple[Manifest, Disks]], points: Promised[Disks], random: Random
) -> Disks:
    """Add a point: with all data that was removed, because none of it may be relied on; or an increment."""
    if points.gone:
        disks, parent = tuple(disk for removed in points.gone.values() for disk in removed), None
    elif found:
        disks, parent = changed(random, found[-1][1]), found[-1]
    else:
        disks, parent = some_disks(random), None
    back_up(vault, NEXT_POINT, disks, parent)
    return disks


@contextmanager
def _usable() -> Iterator[None]:
    try:
        yield
    except OverwinterError as error:
        raise Unusable(f"the vault cannot be worked with: {error!r}") from error


class _PacksSeen:
    """A storage that notes which packs are read."""

    def __init__(self, storage: Storage) -> None:
        self.packs: set[str] = set()
        self._storage = storage

    def put(self, name: str, parts: Sequence[Buffer]) -> None:
        self._storage.put(name, parts)

    def get(self, name: str) -> bytes:
        return self._storage.get(name)

    def get_range(self, name: str, offset: int, length: int) -> bytes:
        self.packs.add(name)
        return self._storage.get_range(name, offset, length)

    def list(self, prefix: str) -> list[StoredObject]:
        return self._storage.list(prefix)

    def delete(self, names: Sequence[str]) -> None:
        self._storage.delete(names)

    def discard_unfinished(self) -> None:
        self._storage.discard_unfinished()

    def use_reserve(self, part: float = 1.0) -> AbstractContextManager[None]:
        """See ``Storage``: there is none."""
        return nullcontext()

    @property
    def reads_at_once(self) -> int:
        """See ``Storage``."""
        return 1

    def room(self) -> int | None:
        """See ``Storage``: not known."""
        return None
