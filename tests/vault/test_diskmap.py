"""Maps against a plain list of ids."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from overwinter.vault.diskmap import FANOUT, ZERO_ID, MapReader, MapWriter, Shape

CHUNKS = FANOUT * FANOUT + 3 * FANOUT + 7  # three levels

pages: dict[bytes, bytes] = {}


def store(page: bytes) -> bytes:
    page_id = hashlib.sha256(page).digest()
    pages[page_id] = page
    return page_id


def id_of(number: int) -> bytes:
    return hashlib.sha256(str(number).encode()).digest()


changes = st.lists(
    st.tuples(st.integers(0, CHUNKS - 1), st.integers(1, 3 * FANOUT), st.sampled_from([0, 1, 2])), max_size=8
)


@given(st.lists(changes, min_size=1, max_size=4))
def test_increments_equal_a_list(increments: list[list[tuple[int, int, int]]]) -> None:
    shape = Shape(CHUNKS, 1)
    tree, model = ZERO_ID, [ZERO_ID] * CHUNKS
    for increment in increments:
        writer = MapWriter(shape, tree, pages.__getitem__, store)
        done = 0
        for first, count, kind in sorted(increment):
            first = max(first, done)
            count = min(count * (FANOUT if kind == 2 else 1), CHUNKS - first)
            if count <= 0:
                continue
            ids = [id_of(first + number % 3) for number in range(count)] if kind == 1 else [ZERO_ID] * count
            if kind == 1:
                writer.put(first, b"".join(ids))
            else:
                writer.clear(first, count)
            model[first : first + count] = ids
            done = first + count
        tree = writer.finish()
    reader = MapReader(shape, tree, pages.__getitem__)
    read = [ZERO_ID] * CHUNKS
    for run in reader.runs(0, CHUNKS):
        for number, chunk in run:
            read[number] = chunk
    assert read == model
    again = MapWriter(shape, ZERO_ID, pages.__getitem__, store)
    for number, chunk in enumerate(model):
        if chunk != ZERO_ID:
            again.put(number, chunk)
    assert again.finish() == tree, "the root must depend on the content alone"


def test_an_increment_touches_only_the_path_to_what_changed() -> None:
    shape = Shape(CHUNKS, 1)
    writer = MapWriter(shape, ZERO_ID, pages.__getitem__, store)
    writer.put(0, b"".join(map(id_of, range(CHUNKS))))
    tree = writer.finish()
    loaded: list[bytes] = []
    stored: list[bytes] = []

    def load(page: bytes) -> bytes:
        loaded.append(page)
        return pages[page]

    def keep(page: bytes) -> bytes:
        stored.append(page)
        return store(page)

    changed = MapWriter(shape, tree, load, keep)
    changed.put(12345, id_of(-1))
    assert changed.finish() != tree
    assert (len(loaded), len(stored)) == (3, 3)


def test_clearing_a_whole_disk_loads_at_most_a_page_per_level() -> None:
    shape = Shape(CHUNKS, 1)
    writer = MapWriter(shape, ZERO_ID, pages.__getitem__, store)
    writer.put(0, b"".join(map(id_of, range(CHUNKS))))
    loaded: list[bytes] = []
    cleared = MapWriter(shape, writer.finish(), lambda page: loaded.append(page) or pages[page], store)
    cleared.clear(0, CHUNKS)
    assert cleared.finish() == ZERO_ID
    assert len(loaded) <= 3


def test_reading_a_range_loads_only_its_pages() -> None:
    shape = Shape(CHUNKS, 1)
    writer = MapWriter(shape, ZERO_ID, pages.__getitem__, store)
    writer.put(0, b"".join(map(id_of, range(CHUNKS))))
    loaded: list[bytes] = []
    reader = MapReader(shape, writer.finish(), lambda page: loaded.append(page) or pages[page])
    (run,) = reader.runs(70_000, 5)
    assert run.first == 70_000
    assert run.ids == b"".join(map(id_of, range(70_000, 70_005)))
    assert len(loaded) == 3
