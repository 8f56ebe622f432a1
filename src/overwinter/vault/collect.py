"""Collection: giving back the space of what no recovery point needs. It fails closed.

The order, and why it is safe beside sessions of any number of machines: docs/vault-format.md, "Collection".
What may be deleted is decided in ``generations``, so a collection that dies anywhere is taken up or given up
by the next one.
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from operator import itemgetter

from overwinter.model.errors import (
    AlreadyExists,
    VaultCollectionInProgress,
    VaultDataCorrupt,
    VaultError,
    VaultObjectMissing,
    VaultSessionEnded,
    VaultStorageFull,
)
from overwinter.vault import generations, points
from overwinter.vault.announcements import (
    Announcement,
    Timing,
    end_dead,
    open_sessions,
    remove,
    remove_stray_signs,
)
from overwinter.vault.batch import CheckCancelled
from overwinter.vault.blobs import BlobStore
from overwinter.vault.damage import DAMAGED, damaged_pack
from overwinter.vault.generations import Doom, Generation
from overwinter.vault.liveness import Liveness
from overwinter.vault.manifest import open_manifest
from overwinter.vault.mark import mark_disks
from overwinter.vault.pack import pack_id, pack_name
from overwinter.vault.packing import BlobWriter
from overwinter.vault.presence import Presence
from overwinter.vault.repack import choose, copy_live
from overwinter.vault.seal import BlobKind
from overwinter.vault.table import EMPTY, Keys, Table, merged, numbered

#: The index is written anew when more than one in so many packs has gone, or when it has more objects.
_STALE_SHARE = 16
_MOST_INDEX_OBJECTS = 64

#: The part of the storage's reserve that copies may use; the rest is for what the collection decides.
_COPY_PART = 0.5


@dataclass(frozen=True)
class CollectStats:
    """What a collection did.

    ``packs_removed`` and ``packs_kept``, ``bytes_freed`` by removed packs, ``bytes_copied`` of packs of which
    something was still needed, ``points_purged`` whose days after deletion were over. ``waiting_for``
    sessions were still open that may need what is to be removed: nothing was removed then, the next
    collection does it. ``short_of_room``: not all could be copied that should be; the next collection does
    more, as far as this one has made room.
    """

    packs_removed: int = 0
    packs_kept: int = 0
    bytes_freed: int = 0
    bytes_copied: int = 0
    points_purged: int = 0
    waiting_for: int = 0
    short_of_room: bool = False


class Collection:
    """One run of a collection, in this process.

    ``bytes_per_second`` bounds the copying; 0: no bound. ``cancelled`` is asked often until it is decided
    what goes, and may raise to stop: then nothing is removed.
    """

    def __init__(
        self,
        blobs: BlobStore,
        presence: Presence,
        timing: Timing,
        bytes_per_second: int = 0,
        cancelled: CheckCancelled | None = None,
    ) -> None:
        self._blobs = blobs
        self._presence = presence
        self._timing = timing
        self._bytes_per_second = bytes_per_second
        self._check = cancelled or (lambda: None)
        self._bytes_copied = 0
        self._short_of_room = False

    def run(self, now: datetime) -> CollectStats:
        """Collect; before that, take up where the last collection ended.

        Raises ``VaultCollectionInProgress``, and ``VaultDataCorrupt`` when a recovery point cannot be read:
        nothing is removed then.
        """
        taken_up, stats = self._run(now)
        if not taken_up or stats.waiting_for:
            return stats
        _, then = self._run(now)
        return replace(
            then,
            packs_removed=stats.packs_removed + then.packs_removed,
            bytes_freed=stats.bytes_freed + then.bytes_freed,
        )

    def _run(self, now: datetime) -> tuple[bool, CollectStats]:
        """One collection; gives whether another one had begun it, and what was done."""
        blobs, purged = self._blobs, 0
        with Announcement(blobs, self._presence, "", self._timing) as own:
            number, doom, waits = self._enter(own.id)
            taken_up = doom is not None
            with self._unless_left_behind(number):
                if doom is None:
                    blobs.storage.discard_unfinished()
                    remove_stray_signs(blobs)
                    purged = points.purge_expired(blobs, now)
                    doom = self._doom()
                    generations.put_doom(blobs, number, doom)
                if waits is None:
                    # Collections rely on nothing; those that begin a session from now on know what is doomed.
                    waits = generations.put_waits(
                        blobs, number, {each.id: each.commit for each in open_sessions(blobs) if each.commit}
                    )
                alive = end_dead(blobs, waits.keys(), self._timing)
                if alive:
                    kept = len(blobs.storage.list("packs/"))
                    return taken_up, CollectStats(
                        packs_kept=kept,
                        bytes_copied=self._bytes_copied,
                        points_purged=purged,
                        waiting_for=len(alive),
                        short_of_room=self._short_of_room,
                    )
                packs = generations.put_end(blobs, number, doom.packs - self._needed_again(doom, waits))
                removed, kept, freed = self._remove(number, packs, own.id)
        return taken_up, CollectStats(
            removed, kept, freed, self._bytes_copied, purged, short_of_room=self._short_of_room
        )

    @contextmanager
    def _unless_left_behind(self, number: int) -> Iterator[None]:
        """What others have removed since they carried this collection through is no damage."""
        try:
            yield
        except (AlreadyExists, VaultDataCorrupt, VaultSessionEnded) as error:
            newest = generations.newest(self._blobs)
            if newest is None or newest.number == number:
                raise
            raise VaultCollectionInProgress(
                "Other processes have ended this collection meanwhile; nothing is left to do for this one."
            ) from error

    def _enter(self, own: str) -> tuple[int, Doom | None, dict[str, str] | None]:
        """Begin a collection, or take up one that is decided upon; ends what a dead process has begun."""
        last = generations.newest(self._blobs)
        if last is not None and last.ended is None:
            if last.doom is not None:
                return last.number, last.doom, last.waits
            if end_dead(self._blobs, {last.owner}, self._timing):
                raise VaultCollectionInProgress(
                    "Another process is collecting garbage in this vault; nothing was changed. Wait for it."
                )
            last = _given_up(self._blobs, last)
        if last is not None and last.ended:
            self._remove(last.number, last.ended, own)
        number = 1 if last is None else last.number + 1
        try:
            generations.begin(self._blobs, number, own)
        except AlreadyExists as error:
            raise VaultCollectionInProgress(
                "Another process has just begun to collect garbage in this vault; nothing was changed."
            ) from error
        return number, None, None

    def _doom(self) -> Doom:
        """Find out which packs can go, after copying what is needed of wasteful ones."""
        blobs = self._blobs
        names = set()
        disks = []
        for name, manifest in points.each_manifest(blobs):
            names.add(name)
            disks += [(manifest.vm_uuid, disk.target, manifest.created, disk.map) for disk in manifest.disks]
        blobs.refresh()  # after the manifests were read: it knows what they need
        sizes = _pack_sizes(blobs)
        live = Liveness(blobs.snapshot())
        needed = _Needed(live, blobs.lost_chunks)
        disks.sort(key=itemgetter(0, 1, 2))  # versions of one disk next to each other
        mark_disks(blobs, (disk_map for *_, disk_map in disks), needed, lambda *_: self._check())
        self._check()
        self._remove_found(needed)
        uses = live.settle()
        with blobs.storage.use_reserve(_COPY_PART):
            choice = choose(sizes, uses, blobs.storage.room())
            self._short_of_room = choice.short_of_room
            try:
                self._copy(live, choice.wasteful)
            except VaultStorageFull:  # somebody else took the room; what was copied is found the next time
                self._short_of_room = True
                return Doom(choice.dead, frozenset(names))
        return Doom(choice.dead | choice.wasteful, frozenset(names))

    def _copy(self, live: Liveness, packs: frozenset[bytes]) -> None:
        writer = BlobWriter(self._blobs)
        try:
            copy_live(self._blobs, writer, live.live(packs), self._copied)
            writer.finish()
        finally:
            writer.close()

    def _remove_found(self, needed: "_Needed") -> None:
        """Remove what tells of lost blobs that no point needs, or that were stored anew."""
        missing = merged([EMPTY, *map(numbered, needed.missing)])
        over = [
            name for name, lost in self._blobs.lost.items() if (missing.rows_of(lost.chunks) < 0).all()
        ]  # of pages none is missing, or the marking would have failed
        self._blobs.storage.delete(over)

    def _copied(self, count: int) -> None:
        self._check()
        self._bytes_copied += count
        if self._bytes_per_second:
            time.sleep(count / self._bytes_per_second)

    def _needed_again(self, doom: Doom, waits: dict[str, str]) -> set[bytes]:
        """Doomed packs that points need which were committed since the marking."""
        blobs = self._blobs
        late = {name: manifest for name, manifest in points.each_manifest(blobs) if name not in doom.marked}
        for name in {*waits.values()} - doom.marked - late.keys():
            # By its name, whatever the listing says: this session was seen, so its commit must be.
            with suppress(VaultObjectMissing):
                manifest = open_manifest(blobs.keys, name, blobs.storage.get(name))
                if manifest is not None:
                    late[name] = manifest
        if not late:
            return set()
        blobs.refresh()
        live = Liveness(blobs.snapshot())
        maps = (disk.map for manifest in late.values() for disk in manifest.disks)
        mark_disks(blobs, maps, _Needed(live, blobs.lost_chunks))
        return live.only_in(doom.packs)

    def _remove_old_sessions(self, own: str) -> None:
        """Remove sessions of collections that died. One that lives can do without: others may go on."""
        for session in open_sessions(self._blobs):
            presence = session.presence
            if not session.commit and session.id != own and not (presence.is_here() and presence.is_alive()):
                remove(self._blobs, session.id)

    def _remove(self, number: int, packs: frozenset[bytes], own: str) -> tuple[int, int, int]:
        """Remove packs whose end is decided; gives packs removed, packs kept, and bytes freed."""
        blobs = self._blobs
        newest = generations.newest(blobs)
        sizes = _pack_sizes(blobs)
        if newest is None or newest.number != number:
            return 0, len(sizes), 0  # this process slept, and others have gone on
        going = packs & sizes.keys()
        blobs.refresh()
        blobs.forget(going)
        if len(going) * _STALE_SHARE > len(sizes) or blobs.index_objects > _MOST_INDEX_OBJECTS:
            with suppress(VaultStorageFull):  # records of packs that are gone are ignored: it can wait
                blobs.rewrite_index()
        blobs.storage.delete([pack_name(pack) for pack in sorted(going)])
        marks = [stored.name for stored in blobs.storage.list(DAMAGED)]
        left = _pack_sizes(blobs)  # listed after the marks: these are of packs there were
        blobs.storage.delete([name for name in marks if damaged_pack(name) not in left])
        generations.remove_before(blobs, number)
        self._remove_old_sessions(own)
        return len(going), len(sizes) - len(going), sum(sizes[pack] for pack in going)


class _Needed:
    """Marks what points need; fails closed, except for chunks of which everybody knows that they are lost.

    Pages are not spared: what only a lost page names would be taken for garbage.
    """

    def __init__(self, live: Liveness, lost_chunks: Table) -> None:
        self.missing: list[Keys] = []
        self._live = live
        self._lost_chunks = lost_chunks

    def mark(self, ids: bytes | bytearray, kind: BlobKind) -> Iterable[bool]:
        """See ``Marks.mark``."""
        return self._live.mark(ids, self._spare_lost) if kind is BlobKind.CHUNK else self._live.mark(ids)

    def unreadable(self, page: bytes, error: VaultError) -> None:  # noqa: ARG002
        """See ``Marks.unreadable``."""
        raise error

    def _spare_lost(self, missing: Keys) -> None:
        if (self._lost_chunks.rows_of(missing) < 0).any():
            raise VaultObjectMissing(
                "Chunks that recovery points need are missing in the vault's index; nothing was removed. "
                "Verify the vault, then repair it."
            )
        self.missing.append(missing)


def _given_up(blobs: BlobStore, last: Generation) -> Generation:
    """End a collection whose process died before it had decided anything."""
    ended = generations.put_end(blobs, last.number, ())
    return Generation(last.number, last.owner, None, None, ended)


def _pack_sizes(blobs: BlobStore) -> dict[bytes, int]:
    return {
        pack: stored.size
        for stored in blobs.storage.list("packs/")
        if (pack := pack_id(stored.name)) is not None
    }
