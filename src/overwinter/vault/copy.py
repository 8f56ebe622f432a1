"""Copying recovery points into another vault with its own key: the second site.

Ids are hashes under each vault's own key, so no object can be taken over as it is: chunks are read, verified
and stored anew, cut as they are in the source. What the target has is not stored twice. Points go oldest
first, and each disk builds upon the newest earlier point of it that both vaults have, so what is read is what
has changed since.

Nothing is written to the source. In the target each point is a session like that of a backup; so a copy that
was killed anywhere is simply run again, and finds what it had stored.
"""

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import zip_longest
from uuid import UUID

from overwinter.model.errors import AlreadyExists, NotFound, VaultDataCorrupt, VaultObjectMissing
from overwinter.vault.batch import CheckCancelled
from overwinter.vault.diskmap import DiskMap
from overwinter.vault.manifest import Manifest, ManifestDisk
from overwinter.vault.session import Progress, Session, SessionStats
from overwinter.vault.store import VaultStore


@dataclass(frozen=True)
class CopyStats:
    """What a copy did.

    ``points_present`` were in the target before. ``points_gone`` were deleted from the source, and collected
    there, before their turn came. ``bytes_read`` of disks in the source, ``bytes_new`` of them new to the
    target, ``bytes_stored`` in objects written there.
    """

    points_copied: int = 0
    points_present: int = 0
    points_gone: int = 0
    bytes_read: int = 0
    bytes_new: int = 0
    bytes_stored: int = 0


@dataclass(frozen=True)
class _Parent:
    """What a disk builds upon: a point, and its map in both vaults."""

    point_id: str
    source: DiskMap
    target: DiskMap


def copy_points(
    source: VaultStore,
    target: VaultStore,
    point_ids: Sequence[str] | None = None,
    *,
    progress: Progress | None = None,
    cancelled: CheckCancelled | None = None,
) -> CopyStats:
    """Copy recovery points, all that are not deleted or those named, that the target does not have.

    A point that the target keeps as deleted counts as one that it has. Chunk sizes may differ. Locks and
    deletions are each vault's own and are not copied. ``progress`` is told the bytes read from the source so
    far; ``cancelled`` is called often, from any thread, and raises when the work must stop.

    Before a copied point is committed, each of its maps is compared with the source's: the same size, and
    the same ranges differ from the parent's map (from zeros without a parent), exact to the chunk, and the
    same of them read as zeros. Contents are verified by their hashes as they are read; what was written is
    not read back.

    Memory is that of one session, the manifests of both vaults, and a few MiB.

    Raises ``NotFound`` when a named point is not there or deleted, ``AlreadyExists`` when the target has
    another point of the same id, ``VaultDataCorrupt`` when the source is damaged or a copy is not what it
    should be, and what a session of the target raises. Points that were copied before stay.
    """
    return _Copy(source, target, progress, cancelled).run(point_ids)


def bytes_to_copy(source: VaultStore, target: VaultStore, point_ids: Sequence[str] | None = None) -> int:
    """About how many bytes of the source's disks ``copy_points`` will read; maps are compared, no data read.

    Raises ``VaultDataCorrupt`` when the source is damaged.
    """
    present = {manifest.point_id for manifest in target.manifests()}
    newest: dict[tuple[UUID, str, int, int], DiskMap] = {}
    total = 0
    for point in source.manifests():
        wanted = point_ids is None or point.point_id in point_ids
        if point.point_id not in present and not wanted:
            continue
        for disk in point.disks:
            place = (point.vm_uuid, *_builds_upon(disk))
            if point.point_id not in present:
                with suppress(VaultObjectMissing):  # deleted meanwhile, and collected: the copy will see
                    changes = source.changes(disk.map, newest.get(place))
                    total += sum(extent.length for extent in changes if not extent.zero)
            newest[place] = disk.map
    return total


class _Copy:
    """One run."""

    def __init__(
        self,
        source: VaultStore,
        target: VaultStore,
        progress: Progress | None,
        cancelled: CheckCancelled | None,
    ) -> None:
        self._source = source
        self._target = target
        self._progress = progress
        self._cancelled = cancelled
        self._points = source.manifests()
        kept = [*target.manifests(), *(deleted.manifest for deleted in target.deleted_points())]
        self._copies = {copy.point_id: copy for copy in kept}
        self._stats = CopyStats()

    def run(self, point_ids: Collection[str] | None) -> CopyStats:
        if point_ids is not None:
            for missing in set(point_ids) - {point.point_id for point in self._points}:
                raise NotFound(f"The source vault has no recovery point {missing}; nothing was copied.")
        for point in self._points:
            if point_ids is not None and point.point_id not in point_ids:
                continue
            if self._cancelled is not None:
                self._cancelled()
            present = self._copies.get(point.point_id)
            if present is not None:
                if _without_maps(present) != _without_maps(point):
                    raise AlreadyExists(
                        f"The target vault has another recovery point {point.point_id}; it was not changed."
                    )
                self._stats = replace(self._stats, points_present=self._stats.points_present + 1)
            elif self._copy(point):
                self._stats = replace(self._stats, points_copied=self._stats.points_copied + 1)
            else:
                self._stats = replace(self._stats, points_gone=self._stats.points_gone + 1)
        return self._stats

    def _copy(self, point: Manifest) -> bool:
        """Copy one point; false when the source no longer has it."""
        while _has(self._source, point.point_id):
            parents = [self._parent(point, disk) for disk in point.disks]
            try:
                self._copies[point.point_id] = self._copy_upon(point, parents)
            except VaultObjectMissing:
                # Points that are deleted meanwhile may be collected, here and there: go on without them.
                used = {parent.point_id for parent in parents if parent is not None}
                gone = {each for each in used if not (_has(self._source, each) and _has(self._target, each))}
                if not gone and _has(self._source, point.point_id):
                    raise
                for each in gone:
                    del self._copies[each]
            else:
                return True
        return False

    def _parent(self, point: Manifest, disk: ManifestDisk) -> _Parent | None:
        """The newest earlier point of the same VM and disk that both vaults have."""
        for earlier in reversed(self._points[: self._points.index(point)]):
            copy = self._copies.get(earlier.point_id)
            if copy is None or earlier.vm_uuid != point.vm_uuid:
                continue
            for before, copied in zip(earlier.disks, copy.disks, strict=True):
                if _builds_upon(disk) == _builds_upon(before):
                    return _Parent(earlier.point_id, before.map, copied.map)
        return None

    def _copy_upon(self, point: Manifest, parents: Sequence[_Parent | None]) -> Manifest:
        """Copy one point, each disk upon its parent; gives the manifest in the target."""
        with self._target.session(point.point_id, self._told(), self._cancelled) as session:
            disks = []
            for disk, parent in zip(point.disks, parents, strict=True):
                stored = self._store(session, disk, parent)
                disks.append(replace(disk, map=stored))
            session.flush()
            for disk, copied, parent in zip(point.disks, disks, parents, strict=True):
                self._compare(point, disk, copied.map, parent)
            manifest = replace(point, disks=tuple(disks))
            session.commit(manifest)
            self._count(session.stats)
        return manifest

    def _store(self, session: Session, disk: ManifestDisk, parent: _Parent | None) -> DiskMap:
        before, upon = (None, None) if parent is None else (parent.source, parent.target)
        changes = self._source.changes(disk.map, before)
        source = self._source.reader(disk.map)
        return session.store_disk(disk.target, disk.map.size, changes, source.read, upon, source)

    def _compare(self, point: Manifest, disk: ManifestDisk, copied: DiskMap, parent: _Parent | None) -> None:
        """Raise ``VaultDataCorrupt`` unless the copy of a disk has changed where the disk itself has."""
        before, upon = (None, None) if parent is None else (parent.source, parent.target)
        wanted, found = self._source.changes(disk.map, before), self._target.changes(copied, upon)
        if copied.size != disk.map.size or any(one != other for one, other in zip_longest(wanted, found)):
            raise VaultDataCorrupt(
                f"The copy of recovery point {point.point_id} differs from it in disk {disk.target}; "
                "it was not committed."
            )

    def _told(self) -> Callable[[int], None] | None:
        """Progress of one session as progress of the whole copy."""
        tell, before = self._progress, self._stats.bytes_read
        return None if tell is None else lambda count: tell(before + count)

    def _count(self, cost: SessionStats) -> None:
        stats = self._stats
        self._stats = replace(
            stats,
            bytes_read=stats.bytes_read + cost.bytes_read,
            bytes_new=stats.bytes_new + cost.bytes_new,
            bytes_stored=stats.bytes_stored + cost.bytes_stored,
        )


def _builds_upon(disk: ManifestDisk) -> tuple[str, int, int]:
    """What a disk must have in common with an earlier one to be told as its changes."""
    return disk.target, disk.map.size, disk.map.chunk_size


def _has(vault: VaultStore, point_id: str) -> bool:
    try:
        vault.manifest(point_id)
    except NotFound:
        return False
    return True


def _without_maps(point: Manifest) -> Manifest:
    """What of a manifest is the same in every vault."""
    disks = (replace(disk, map=DiskMap(disk.map.size, b"", 0)) for disk in point.disks)
    return replace(point, disks=tuple(disks))
