"""Damages as they are found: gathered by object, and turned into what they touch of which disks."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from overwinter.model.errors import VaultObjectMissing
from overwinter.vault import points
from overwinter.vault.blobs import BlobStore
from overwinter.vault.manifest import Manifest, ManifestDisk
from overwinter.vault.report import MOST_DISKS, MOST_RANGES, Damage, DamagedDisk
from overwinter.vault.survey import Survey, Touch, extents
from overwinter.vault.table import EMPTY, Bools, Keys, Table, merged, numbered


@dataclass
class _Found:
    """One object's damages. ``suspicion`` is a reason only when a disk is touched."""

    number: int
    reasons: list[str] = field(default_factory=list)
    suspicion: str = ""
    hurts: bool = False
    disks: list[DamagedDisk] = field(default_factory=list)
    more_disks: int = 0


class Findings:
    """Damages by object. ``broken`` are the points, by manifests' names, that lack pages of a map."""

    def __init__(self) -> None:
        self._found: dict[str, _Found] = {}
        self._lost: list[Table] = []
        self._misfits: list[Table] = []
        self.broken: dict[str, Manifest] = {}

    def note(self, name: str, reason: str, harmless: bool) -> None:
        """Take note of an object's damage; ``harmless`` unless it turns out to touch a disk."""
        found = self._of(name)
        if reason not in found.reasons:
            found.reasons.append(reason)
        found.hurts |= not harmless

    def lose(self, name: str, keys: Keys, reason: str) -> None:
        """Take note of blobs that cannot be read because of an object; the reason if no other is noted."""
        found = self._of(name)
        found.suspicion = reason
        self._lost.append(numbered(keys, found.number))

    def misfit(self, name: str, page: Keys, reason: str) -> None:
        """Take note of a page that is stored well and does not fit the disks that name it."""
        self.note(name, reason, harmless=False)
        self._misfits.append(numbered(page, self._of(name).number))

    def locate(self, blobs: BlobStore, manifests: Mapping[str, Manifest]) -> tuple[Keys, Keys]:
        """Find what lost blobs touch of recovery points that are still there.

        Gives the chunks, and the pages, that are really needed. Raises ``VaultDataCorrupt`` when a page
        has become unreadable just now.
        """
        lost = merged([EMPTY, *self._lost])
        lost = lost.take(~blobs.index.find_keys(Keys(lost.high, lost.low)).found)  # elsewhere they are whole
        lost = merged([lost, *self._misfits])
        chunks, pages = np.zeros(len(lost), bool), np.zeros(len(lost), bool)
        if not len(lost):
            return _taken(lost, chunks), _taken(lost, pages)
        survey = Survey(blobs, lost)
        for name, manifest in sorted(manifests.items(), key=lambda item: item[1].created):
            for disk in manifest.disks:
                try:
                    touches = list(survey.touches(disk.map))
                except VaultObjectMissing:
                    if points.is_there(blobs, name):
                        raise
                    break  # the point was deleted, and collected
                if not touches or not points.is_there(blobs, name):
                    continue
                self._add(lost, manifest, disk, touches)
                if any(touch.page is not None for touch in touches):
                    self.broken[name] = manifest
                for touch in touches:
                    (chunks if touch.page is None else pages)[touch.row] = True
        return _taken(lost, chunks), _taken(lost, pages)

    def _of(self, name: str) -> _Found:
        return self._found.setdefault(name, _Found(len(self._found)))

    def damages(self) -> Iterator[Damage]:
        """What was found, by object."""
        for name, found in self._found.items():
            if not found.reasons and not found.disks:
                continue  # who needed it has gone meanwhile
            yield Damage(
                object=name,
                reason="; ".join(found.reasons) or found.suspicion,
                disks=tuple(found.disks),
                more_disks=found.more_disks,
                harmless=not found.hurts and not found.disks,
            )

    def _add(self, lost: Table, manifest: Manifest, disk: ManifestDisk, touches: list[Touch]) -> None:
        by_damage: dict[int, list[Touch]] = {}
        for touch in touches:
            by_damage.setdefault(int(lost.pack[touch.row]), []).append(touch)
        objects = list(self._found.values())
        for number, its in by_damage.items():
            found = objects[number]
            if len(found.disks) == MOST_DISKS:
                found.more_disks += 1
            else:
                found.disks.append(_damaged_disk(manifest, disk, its))


def _damaged_disk(manifest: Manifest, disk: ManifestDisk, touches: Iterable[Touch]) -> DamagedDisk:
    ranges = extents(touches, disk.map)
    listed = tuple(islice(ranges, MOST_RANGES))
    length, more = sum(extent.length for extent in listed), 0
    for extent in ranges:
        length, more = length + extent.length, more + 1
    return DamagedDisk(
        manifest.vm_uuid, manifest.vm_name, manifest.point_id, disk.target, listed, more, length
    )


def _taken(table: Table, rows: Bools) -> Keys:
    some = table.take(rows)
    return Keys(some.high, some.low)
