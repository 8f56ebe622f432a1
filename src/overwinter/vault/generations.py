"""Collections of garbage, numbered: how at most one at a time decides which packs go, and everybody agrees.

A collection is up to four objects, each put once, so that whoever is first decides:

- ``collections/<n>``: it has begun, by which session
- ``collections/<n>.doomed``: packs that it wants to delete. Who begins a session from now on relies on none
- ``collections/<n>.waits``: sessions that began before; their commits may need doomed packs yet
- ``collections/<n>.end``: packs that are deleted, by whomever; none when it was given up

Only the highest number counts, and a number is begun only when the one before has its end. Packs are deleted
only when an end names them. So a process that sleeps through it all and wakes up can do no harm: its own puts
come too late.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from overwinter.model.errors import AlreadyExists, VaultDataCorrupt, VaultObjectMissing
from overwinter.vault import control
from overwinter.vault.blobs import BlobStore
from overwinter.vault.pack import pack_id, pack_name
from overwinter.vault.seal import ObjectKind

_PREFIX = "collections/"

#: Times to look anew because a later collection removed what was just listed.
_LOOKS = 10


@dataclass(frozen=True)
class Doom:
    """Packs that a collection wants to delete, and names of the manifests it has looked at."""

    packs: frozenset[bytes]
    marked: frozenset[str]


@dataclass(frozen=True)
class Generation:
    """One collection as far as it has come. ``owner`` is the id of the session that began it.

    ``waits`` maps ids of sessions to the names their commits would get; ``ended`` are the packs that go.
    """

    number: int
    owner: str
    doom: Doom | None
    waits: dict[str, str] | None
    ended: frozenset[bytes] | None

    @property
    def unreliable(self) -> frozenset[bytes]:
        """Packs that a session which begins now must not rely on."""
        if self.ended is not None:
            return self.ended
        return frozenset() if self.doom is None else self.doom.packs


def newest(blobs: BlobStore) -> Generation | None:
    """The collection with the highest number; null when there never was one. Raises ``VaultDataCorrupt``."""
    for _ in range(_LOOKS - 1):
        with suppress(VaultObjectMissing):
            return _newest(blobs)
    return _newest(blobs)


def _newest(blobs: BlobStore) -> Generation | None:
    names = {stored.name for stored in blobs.storage.list(_PREFIX)}
    begun = sorted(name for name in names if "." not in name)
    if not begun:
        return None
    name = begun[-1]
    doom = waits = ended = None
    if f"{name}.doomed" in names:
        value = control.get(blobs, ObjectKind.COLLECTION, f"{name}.doomed")
        doom = Doom(_packs(value), frozenset(control.texts(value, "marked")))
    if f"{name}.waits" in names:
        value = control.get(blobs, ObjectKind.COLLECTION, f"{name}.waits")
        waits = _waits(value)
    if f"{name}.end" in names:
        ended = _packs(control.get(blobs, ObjectKind.COLLECTION, f"{name}.end"))
    owner = control.text(control.get(blobs, ObjectKind.COLLECTION, name), "owner")
    return Generation(int(name.removeprefix(_PREFIX)), owner, doom, waits, ended)


def highest(blobs: BlobStore) -> int:
    """The highest number of any object of a collection, whether it can be read or not; 0: there is none."""
    names = (stored.name.removeprefix(_PREFIX).partition(".")[0] for stored in blobs.storage.list(_PREFIX))
    return max((int(name) for name in names if name.isdecimal()), default=0)


def begin(blobs: BlobStore, number: int, owner: str) -> None:
    """Begin a collection. Raises ``AlreadyExists`` when another process has done so."""
    control.put(blobs, ObjectKind.COLLECTION, _name(number), {"owner": owner})


def put_doom(blobs: BlobStore, number: int, doom: Doom) -> None:
    """Tell everybody who begins a session which packs not to rely on; returns when everybody sees it.

    Raises ``AlreadyExists``.
    """
    name = f"{_name(number)}.doomed"
    value = {"packs": _names(doom.packs), "marked": sorted(doom.marked)}
    control.put(blobs, ObjectKind.COLLECTION, name, value)
    control.see_listed(blobs, name)


def put_waits(blobs: BlobStore, number: int, waits: dict[str, str]) -> dict[str, str]:
    """Name the sessions to wait for, unless another process has done so; gives what counts."""
    value = {"sessions": list(waits), "commits": list(waits.values())}
    return _waits(_put_or_get(blobs, f"{_name(number)}.waits", value))


def put_end(blobs: BlobStore, number: int, packs: Iterable[bytes]) -> frozenset[bytes]:
    """Decide which packs go, unless another process has decided; gives what counts."""
    return _packs(_put_or_get(blobs, f"{_name(number)}.end", {"packs": _names(packs)}))


def remove_before(blobs: BlobStore, number: int) -> None:
    """Remove the objects of all collections with lower numbers."""
    names = [stored.name for stored in blobs.storage.list(_PREFIX)]
    blobs.storage.delete([name for name in names if name < _name(number)])


def _put_or_get(blobs: BlobStore, name: str, value: Mapping[str, object]) -> Mapping[str, object]:
    """Put an object unless another process has; gives what counts."""
    for _ in range(_LOOKS):
        try:
            control.put(blobs, ObjectKind.COLLECTION, name, value)
        except AlreadyExists:
            with suppress(VaultObjectMissing):  # removed by a later collection: neither counts any more
                return control.get(blobs, ObjectKind.COLLECTION, name)
        else:
            return value
    raise VaultDataCorrupt(f"The vault's storage has {name} and does not have it.")


def _name(number: int) -> str:
    return f"{_PREFIX}{number:08d}"


def _names(packs: Iterable[bytes]) -> list[str]:
    return sorted(pack.hex() for pack in packs)


def _waits(value: Mapping[str, object]) -> dict[str, str]:
    sessions, commits = control.texts(value, "sessions"), control.texts(value, "commits")
    if len(sessions) != len(commits):
        raise VaultDataCorrupt("A collection of the vault is damaged: it waits for sessions without commits.")
    return dict(zip(sessions, commits, strict=True))


def _packs(value: Mapping[str, object]) -> frozenset[bytes]:
    try:
        found = {pack_id(pack_name(bytes.fromhex(text))) for text in control.texts(value, "packs")}
    except ValueError as error:
        raise VaultDataCorrupt(f"A collection of the vault is damaged: {error}") from error
    return frozenset(pack for pack in found if pack is not None)
