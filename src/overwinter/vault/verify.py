"""Verification: is everything that recovery points need there and whole?

In three depths: every object opens, everything that a map names is in a pack, and segments have the content
that their hashes promise. What is found damaged is remembered in the vault (``damage``), so that nobody
relies on it and the next backup of the same disk stores it anew.

It holds nobody up. Sessions and collections go on meanwhile: what vanishes is looked for again, and counts
as damage only when a recovery point that is still there needs it.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import closing
from itertools import islice

import numpy as np

from overwinter.model.errors import VaultError
from overwinter.vault import points
from overwinter.vault.blobs import BlobStore
from overwinter.vault.content import PackRead, Wanted, by_segment, read_pack
from overwinter.vault.damage import put_damaged, put_lost
from overwinter.vault.findings import Findings
from overwinter.vault.index import pack_bytes
from overwinter.vault.liveness import LiveBlob, Liveness
from overwinter.vault.manifest import Manifest
from overwinter.vault.mark import mark_disks
from overwinter.vault.pack import pack_id, pack_name
from overwinter.vault.report import VerifyReport
from overwinter.vault.seal import ID_LENGTH, BlobKind
from overwinter.vault.storage import StoredObject
from overwinter.vault.structure import Structure, check_objects, check_packs
from overwinter.vault.table import EMPTY, U64, Keys, Table, merged, numbered
from overwinter.vault.workers import ordered_map, worker_count

#: Packs whose needed blobs are listed together (about 3 million chunks).
_PACKS = 4096

#: Times to look for blobs whose packs collections have replaced meanwhile.
_ROUNDS = 10

#: Chooses which segments to read: told a pack as a number and an offset.
Chosen = Callable[[int, int], bool]

_INDEX = "index/"


def chosen_part(percent: float, begin: float) -> Chosen:
    """A choice of ``percent`` of all segments: of places on a circle of length 1 those from ``begin`` on."""
    width = percent / 100

    def chosen(pack: int, offset: int) -> bool:
        # Ids of packs are random; the multiplier spreads what lies in one pack.
        place = (pack + offset * 0x9E3779B97F4A7C15) % (1 << 64) / (1 << 64)
        return (place - begin) % 1 < width

    return chosen


class Verification:
    """One run, used by one thread, which does its work with others.

    ``searched`` packs hold nothing that the index lacks, although their directories cannot be read.
    """

    def __init__(
        self,
        blobs: BlobStore,
        chosen: Chosen | None,
        progress: Callable[[int], None] | None,
        cancelled: Callable[[], None] | None,
        searched: Collection[bytes] = (),
    ) -> None:
        self._searched = searched
        self._blobs = blobs
        self._chosen = chosen
        self._progress = progress
        self._cancelled = cancelled
        self._findings = Findings()
        self._segments = 0
        self._bytes_read = 0

    def whole(self) -> VerifyReport:
        """Verify everything."""
        self._refresh()
        return self._run(check_objects(self._blobs, self._findings.note))

    def point(self, point_id: str) -> VerifyReport:
        """Verify what one recovery point needs. Raises ``NotFound``."""
        self._refresh()
        name, manifest = points.find(self._blobs, point_id)
        return self._run(Structure(1, {name: manifest}, {}), is_whole=False)

    @property
    def broken(self) -> dict[str, Manifest]:
        """The recovery points, by manifests' names, that lack pages of a map."""
        return self._findings.broken

    def _refresh(self) -> None:
        self._blobs.refresh()
        self._blobs.forget_content()  # so that what was read before does not hide damage

    def _run(self, structure: Structure, *, is_whole: bool = True) -> VerifyReport:
        blobs = self._blobs
        needed = self._mark(structure)
        if needed.lacks_pages:
            needed.live.mark_all()  # what the lost pages name is needed, and nobody can tell what that is
        packs = needed.live.packs()
        suspicious = structure.suspicious
        if not is_whole:
            listed = _listed(blobs, packs)
            suspicious, _ = check_packs(blobs, listed, self._findings.note)
        needed.missing.append(self._read(needed.live, packs, suspicious))
        blobs.refresh()
        self._lose_missing(needed, structure)
        chunks, pages = self._findings.locate(blobs, structure.manifests)
        if is_whole and suspicious <= set(self._searched):
            self._remember_lost(chunks, pages, structure.unindexed)
        return VerifyReport(
            objects=structure.objects + (0 if is_whole else len(packs)),
            points=len(structure.manifests),
            packs=len(structure.packs) if is_whole else len(packs),
            segments=self._segments,
            bytes_read=self._bytes_read,
            damages=tuple(self._findings.damages()),
        )

    def _mark(self, structure: Structure) -> "_Needed":
        """Find what the recovery points need, reading all their pages."""
        blobs = self._blobs
        while True:
            blobs.refresh()  # after the manifests were read: it knows what they need
            needed = _Needed(blobs, self._cancelled)
            maps = [disk.map for manifest in structure.manifests.values() for disk in manifest.disks]
            mark_disks(blobs, maps, needed)
            if not needed.errors or not self._check_pages(needed):
                return needed
            # Without the damaged segments: where another copy of a page is, it is read in the next round.

    def _check_pages(self, needed: "_Needed") -> bool:
        """Find out about pages that could not be read; gives whether another look may find more."""
        wanted: dict[bytes, list[Wanted]] = {}
        for page in needed.errors:
            location = self._blobs.index.find(page)
            if location is None:
                needed.missing.append(Keys.of(page))
                continue
            blob = LiveBlob(page, location.offset, location.length, location.number)
            wanted.setdefault(location.pack, []).append(Wanted(blob.offset, blob.length, [blob]))
        again = False
        for pack, segments in wanted.items():
            segments.sort(key=lambda segment: segment.offset)
            result = read_pack(self._blobs, pack, segments, self._cancelled)
            again |= self._take(result) or bool(result.gone_keys)
        if not again:  # stored well, but no page of such a disk
            for page, error in needed.errors.items():
                self._findings.misfit(_INDEX, Keys.of(page), error.message)
        return again

    def _read(self, live: Liveness, packs: set[bytes], suspicious: set[bytes]) -> Keys:
        """Read the chosen segments of packs, and all that is needed of suspicious ones.

        Gives the blobs whose packs have vanished meanwhile.
        """
        order = iter(sorted(packs if self._chosen is not None else packs & suspicious))
        gone = bytearray()
        while some := set(islice(order, _PACKS)):
            gone += self._read_packs(self._choose(live, some, suspicious))
        vanished = Keys.of(gone)
        for _ in range(_ROUNDS):
            if not gone:
                break
            self._blobs.refresh()
            gone = self._read_packs(_located(self._blobs, gone))
        return vanished

    def _choose(
        self, live: Liveness, packs: set[bytes], suspicious: set[bytes]
    ) -> Iterator[tuple[bytes, list[Wanted]]]:
        for pack, blobs in live.live(packs):
            segments = by_segment(blobs)
            if self._chosen is not None and pack not in suspicious:
                number = int.from_bytes(pack, "big")
                segments = [segment for segment in segments if self._chosen(number, segment.offset)]
            if segments:
                yield pack, segments

    def _read_packs(self, wanted: Iterable[tuple[bytes, list[Wanted]]]) -> bytearray:
        """Read segments pack by pack; gives the blobs whose packs have vanished."""
        gone = bytearray()
        results = ordered_map(
            lambda one: read_pack(self._blobs, *one, self._cancelled), wanted, worker_count()
        )
        with closing(results):
            for result in results:
                self._take(result)
                gone += result.gone_keys
        return gone

    def _take(self, result: PackRead) -> bool:
        """Take in what came of a pack, and remember damage; gives whether there is any."""
        self._segments += result.segments
        self._bytes_read += result.bytes
        if self._progress is not None:
            self._progress(self._bytes_read)
        if not result.damaged:
            return False
        first = result.damaged[min(result.damaged)]
        reason = f"{len(result.damaged)} of its segments cannot be read: {first}"
        self._findings.note(pack_name(result.pack), reason, harmless=True)
        self._findings.lose(pack_name(result.pack), Keys.of(result.damaged_keys), reason)
        put_damaged(self._blobs, result.pack, result.damaged)
        return True

    def _lose_missing(self, needed: "_Needed", structure: Structure) -> None:
        """Take note of what points need and the index does not have, with the reason where it is known."""
        index = self._blobs.index
        missing = merged([EMPTY, *map(numbered, needed.missing)])
        keys = Keys(missing.high, missing.low)
        keys = keys.take(~index.find_keys(keys).found)
        indexed = structure.unindexed.rows_of(keys) < 0
        reason = "packs hold blobs that the index lacks and that are needed: repair the vault"
        self._lose(_INDEX, keys.take(~indexed), reason)
        keys = keys.take(indexed)
        distrusted, packs = index.distrusted_keys()
        keys = self._lose_by_pack(keys, distrusted, packs, "segments of it were found damaged before")
        places = structure.gone.find_keys(keys)
        gone = keys.take(places.found)
        keys = self._lose_by_pack(keys, gone, places.pack[places.found], "it is gone")
        self._lose(_INDEX, keys, "blobs that are needed are in no pack")

    def _lose_by_pack(self, keys: Keys, known: Keys, packs: U64, reason: str) -> Keys:
        """Take note of those of ``keys`` that are known to have been in certain packs; gives the others."""
        for pack in np.unique(packs).tolist():
            its = merged([numbered(known.take(packs == pack))]).rows_of(keys) >= 0
            self._lose(pack_name(pack_bytes(pack)), keys.take(its), reason)
            keys = keys.take(~its)
        return keys

    def _lose(self, name: str, keys: Keys, reason: str) -> None:
        if len(keys):
            self._findings.lose(name, keys, reason)

    def _remember_lost(self, chunks: Keys, pages: Keys, unindexed: Table) -> None:
        """Remember what is needed and was in no pack, as far as that is not known yet."""
        known = self._blobs.lost.values()
        new = []
        for keys, before in (
            (chunks, [lost.chunks for lost in known]),
            (pages, [lost.pages for lost in known]),
        ):
            table = merged([EMPTY, unindexed, *map(numbered, before)])
            new.append(keys.take(table.rows_of(keys) < 0))
        put_lost(self._blobs, *new)
        self._blobs.refresh()


class _Needed:
    """Marks what points need, and takes note of what is not there."""

    def __init__(self, blobs: BlobStore, cancelled: Callable[[], None] | None) -> None:
        self.live = Liveness(blobs.snapshot())
        self.missing: list[Keys] = []
        self.errors: dict[bytes, VaultError] = {}
        self.lacks_pages = False
        self._cancelled = cancelled

    def mark(self, ids: bytes | bytearray, kind: BlobKind) -> Iterable[bool]:
        """See ``Marks.mark``."""
        if self._cancelled is not None:
            self._cancelled()
        before = len(self.missing)
        new = self.live.mark(ids, self.missing.append)
        self.lacks_pages |= kind is BlobKind.PAGE and len(self.missing) > before
        return new

    def unreadable(self, page: bytes, error: VaultError) -> None:
        """See ``Marks.unreadable``."""
        self.errors[page] = error


def _listed(blobs: BlobStore, packs: set[bytes]) -> list[StoredObject]:
    """Those of some packs that are there."""
    return [stored for stored in blobs.storage.list("packs/") if pack_id(stored.name) in packs]


def _located(blobs: BlobStore, ids: bytearray) -> Iterator[tuple[bytes, list[Wanted]]]:
    """Where blobs lie now, pack by pack; those that are nowhere are left out."""
    found: dict[bytes, list[LiveBlob]] = {}
    for begin in range(0, len(ids), ID_LENGTH):
        blob_id = bytes(ids[begin : begin + ID_LENGTH])
        place = blobs.index.find(blob_id)
        if place is not None:
            blob = LiveBlob(blob_id, place.offset, place.length, place.number)
            found.setdefault(place.pack, []).append(blob)
    for pack, its in found.items():
        yield pack, by_segment(sorted(its, key=lambda blob: (blob.offset, blob.number)))
