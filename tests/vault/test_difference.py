"""Where two maps differ, exact to the chunk, on disks whose maps have three levels."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overwinter.model.extent import Extent
from overwinter.vault import DiskMap, VaultStore
from tests.vault.disks import CHUNK, manifest, new_vault

#: A map of 4 KiB chunks has a third level beyond 256 MiB. The last chunk is short.
CHUNKS = 600_000
SIZE = CHUNKS * CHUNK - 1000

#: Chunk numbers around the borders of pages, and a value for each; 0: zeros.
DISKS = st.dictionaries(
    st.sampled_from([0, 1, 2, 127, 128, 129, 65_535, 65_536, 65_537, CHUNKS - 2, CHUNKS - 1]),
    st.integers(0, 2),
)


def end_of(chunk: int) -> int:
    return min((chunk + 1) * CHUNK, SIZE)


def stored(vault: VaultStore, point: str, disk: dict[int, int]) -> DiskMap:
    def read(offset: int, buffer: memoryview) -> None:
        for begin in range(0, len(buffer), CHUNK):
            length = len(buffer[begin : begin + CHUNK])
            buffer[begin : begin + length] = bytes([disk[(offset + begin) // CHUNK]]) * length

    extents = [Extent(chunk * CHUNK, end_of(chunk) - chunk * CHUNK) for chunk in sorted(disk)]
    with vault.session(point) as session:
        found = session.store_disk("vda", SIZE, extents, read)
        session.commit(manifest(point, found))
    return found


@settings(max_examples=15)
@given(before=DISKS, after=DISKS)
def test_every_difference_is_found(
    tmp_path_factory: pytest.TempPathFactory, before: dict[int, int], after: dict[int, int]
) -> None:
    vault = new_vault(tmp_path_factory.mktemp("difference"))
    maps = [stored(vault, str(number), disk) for number, disk in enumerate((before, after))]
    for disk, since, one, other in ((maps[1], maps[0], after, before), (maps[1], None, after, {})):
        chunks = {
            offset // CHUNK: extent.zero
            for extent in vault.changes(disk, since)
            for offset in range(extent.offset, extent.end, CHUNK)
        }
        assert chunks == {
            chunk: not one.get(chunk, 0)
            for chunk in one.keys() | other.keys()
            if one.get(chunk, 0) != other.get(chunk, 0)
        }


def test_ranges_are_as_long_as_they_can_be_and_end_with_the_disk(tmp_path: Path) -> None:
    vault = new_vault(tmp_path)
    empty = stored(vault, "1", {})
    disk = stored(vault, "2", {511: 1, 512: 1, CHUNKS - 1: 1})
    data = [Extent(511 * CHUNK, 2 * CHUNK), Extent((CHUNKS - 1) * CHUNK, CHUNK - 1000)]
    assert list(vault.changes(disk, empty)) == list(vault.changes(disk)) == data
    assert list(vault.changes(empty, disk)) == [Extent(each.offset, each.length, True) for each in data]
    assert list(vault.changes(disk, disk)) == []


def test_disks_of_different_sizes_are_not_compared(tmp_path: Path) -> None:
    vault = new_vault(tmp_path)
    disk = stored(vault, "1", {})
    with pytest.raises(ValueError, match="cannot be compared"):
        next(vault.changes(disk, DiskMap(SIZE + 1, disk.root, CHUNK)))
