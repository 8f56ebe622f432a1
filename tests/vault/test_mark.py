"""Marking finds everything that disks need, whatever their maps share, and looks at little of it twice."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from overwinter.model.errors import VaultError
from overwinter.model.extent import Extent
from overwinter.vault import DiskMap, VaultStore
from overwinter.vault.blobs import BlobStore
from overwinter.vault.diskmap import MapReader, Shape, decode_root
from overwinter.vault.leaf import ZERO_ID
from overwinter.vault.mark import mark_disks
from overwinter.vault.seal import ID_LENGTH, BlobKind
from tests.vault.disks import CHUNK, back_up, manifest, new_vault, noise

#: Of one leaf, of one full leaf, of one more, of eleven.
SIZES = (5, 128, 150, 1300)


class Marked:
    """Everything that was marked, and how often something was."""

    def __init__(self) -> None:
        self.ids: set[bytes] = set()
        self.count = 0

    def mark(self, ids: bytes | bytearray, kind: BlobKind) -> list[bool]:
        new = []
        for begin in range(0, len(ids), ID_LENGTH):
            one = bytes(ids[begin : begin + ID_LENGTH])
            new.append(one != ZERO_ID and one not in self.ids)
            self.ids |= {one} - {ZERO_ID}
            self.count += 1
        return new

    def unreadable(self, page: bytes, error: VaultError) -> None:
        raise error


@contextmanager
def vault() -> Iterator[VaultStore]:
    with TemporaryDirectory() as directory:
        yield new_vault(Path(directory))


def needed(blobs: BlobStore, disk: DiskMap) -> set[bytes]:
    """What a walk over one map meets: its root, its pages, its chunks."""
    met = {disk.root}

    def load(page: bytes) -> bytes:
        met.add(page)
        return blobs.read(BlobKind.PAGE, page)

    tree = decode_root(load(disk.root), disk.size, disk.chunk_size)
    met |= {chunk.id for chunk in MapReader(Shape(disk.size, disk.chunk_size), tree, load).chunks()}
    return met


def marked(blobs: BlobStore, disks: list[DiskMap]) -> Marked:
    marks = Marked()
    mark_disks(blobs, disks, marks)
    return marks


#: A disk: its size in chunks, the version it builds upon, and what is written where; few contents, so that
#: disks share chunks and pages at the same and at other places, and zeros.
writes = st.dictionaries(st.integers(0, max(SIZES) - 1), st.integers(0, 3), max_size=6)
versions = st.lists(st.tuples(st.sampled_from(SIZES), st.booleans(), writes), min_size=1, max_size=8)


@settings(max_examples=25)
@given(versions, st.data())
def test_finds_what_a_walk_over_each_map_finds(
    made: list[tuple[int, bool, dict[int, int]]], data: st.DataObject
) -> None:
    with vault() as store:
        disks: list[DiskMap] = []
        newest: dict[int, DiskMap] = {}
        for number, (chunks, on_top, written) in enumerate(made):
            places = {place: content for place, content in written.items() if place < chunks}

            def read(offset: int, buffer: memoryview, places: dict[int, int] = places) -> None:
                for begin in range(0, len(buffer), CHUNK):
                    content = places.get((offset + begin) // CHUNK, 0)
                    buffer[begin : begin + CHUNK] = noise(content, CHUNK) if content else bytes(CHUNK)

            with store.session(str(number)) as session:
                extents = [Extent(place * CHUNK, CHUNK) for place in sorted(places)]
                parent = newest.get(chunks) if on_top else None
                disk = session.store_disk("vda", chunks * CHUNK, extents, read, parent)
                session.commit(manifest(str(number), disk))
            disks.append(disk)
            newest[chunks] = disk
        blobs = store._blobs
        assert marked(blobs, data.draw(st.permutations(disks))).ids == set().union(
            *(needed(blobs, disk) for disk in disks)
        )


def test_versions_of_a_disk_cost_what_changed(tmp_path: Path) -> None:
    store = new_vault(tmp_path)
    disk = bytearray(noise(1, 512 * CHUNK))
    maps = [back_up(store, "1", disk)]
    for number in range(2, 12):
        disk[number * CHUNK : (number + 1) * CHUNK] = noise(number, CHUNK)
        maps.append(back_up(store, str(number), disk, [Extent(number * CHUNK, CHUNK)], maps[-1]))
    marks = marked(store._blobs, maps)
    assert marks.ids == set().union(*(needed(store._blobs, one) for one in maps))
    assert marks.count <= 512 + 10 + 4 + 3 * len(maps)  # with four leaves, and three pages of each version
