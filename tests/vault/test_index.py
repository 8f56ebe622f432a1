"""The index: look-ups and merges against a dictionary, and memory per chunk."""

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from overwinter.vault.index import RECORD_LENGTH, Index, IndexTable, Location, record
from overwinter.vault.pack import Entry
from tests.vault.disks import noise


def blob_id(number: int) -> bytes:
    return noise(number, 32)


@given(st.lists(st.sets(st.integers(0, 60), max_size=20), max_size=12), st.integers(0, 11))
def test_find_and_forget_equal_a_dictionary(tables: list[set[int]], forgotten: int) -> None:
    index = Index()
    model: dict[int, set[Location]] = {}
    for number, blobs in enumerate(tables):
        pack = bytes([number]) * 8
        index.add(
            IndexTable.of(record(pack, Entry(blob_id(blob), blob, number, blob % 256)) for blob in blobs)
        )
        for blob in blobs:
            model.setdefault(blob, set()).add(Location(pack, blob, number, blob % 256))
    index.forget({bytes([forgotten]) * 8})
    for blob in range(61):
        places = {place for place in model.get(blob, set()) if place.pack != bytes([forgotten]) * 8}
        found = index.find(blob_id(blob))
        assert found in places if places else found is None


def test_memory_is_the_records_and_nothing_besides() -> None:
    """48 bytes per chunk: 200 MiB for 1 TiB of unique data in chunks of 256 KiB."""
    count, per_table = 100_000, 2_500
    ids = noise(1, 32 * count)
    tracemalloc.start()
    index = Index()
    for begin in range(0, count, per_table):
        index.add(
            IndexTable.of(
                record(b"somepack", Entry(ids[32 * number : 32 * number + 32], number, 1, 0))
                for number in range(begin, begin + per_table)
            )
        )
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert index.memory_bytes == count * RECORD_LENGTH
    assert held < count * 64
    assert len(index.tables) <= 10
    for number in (0, 1, count // 2, count - 1):
        assert index.find(ids[32 * number : 32 * number + 32]) == Location(b"somepack", number, 1, 0)
