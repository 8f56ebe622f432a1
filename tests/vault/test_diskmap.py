"""Maps against a plain list of blocks."""

import hashlib
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overwinter.model.errors import VaultDataCorrupt
from overwinter.vault.chunking import BLOCK
from overwinter.vault.diskmap import FANOUT, REGION_CHUNKS, MapReader, MapWriter, Shape, decode_page
from overwinter.vault.leaf import ZERO_ID, Part
from overwinter.vault.seal import ID_LENGTH

#: Chunks of one block on average: a region is as many blocks.
REGION = REGION_CHUNKS
BLOCKS = REGION * (FANOUT + 3) + 7  # three levels
SHAPE = Shape(BLOCKS * BLOCK - 5, BLOCK)

pages: dict[bytes, bytes] = {}


def store(page: bytes) -> bytes:
    page_id = hashlib.sha256(page).digest()[:ID_LENGTH]
    pages[page_id] = page
    return page_id


def id_of(number: int) -> bytes:
    return hashlib.sha256(str(number).encode()).digest()[:ID_LENGTH]


def chunks(first: int, count: int, seed: int) -> list[Part]:
    """Chunks of one to five blocks, none across a border of regions."""
    source = random.Random(seed)
    parts, end = [], first + count
    while first < end:
        border = (first // REGION + 1) * REGION
        length = min(source.randint(1, 5), end - first, border - first)
        parts.append(Part(first, length, id_of(source.randint(0, 3))))
        first += length
    return parts


def full(seed: int = 1) -> tuple[bytes, list[Part]]:
    writer = MapWriter(SHAPE, ZERO_ID, pages.__getitem__, store)
    parts = chunks(0, BLOCKS, seed)
    writer.put(parts)
    return writer.finish(), parts


changes = st.lists(
    st.tuples(st.integers(0, BLOCKS - 1), st.integers(1, 3 * REGION), st.sampled_from([0, 1, 2])), max_size=8
)


@given(st.lists(changes, min_size=1, max_size=4))
def test_increments_equal_a_list(increments: list[list[tuple[int, int, int]]]) -> None:
    tree: bytes = ZERO_ID
    model: list[Part | None] = [None] * BLOCKS  # the chunk of each block
    for increment in increments:
        writer = MapWriter(SHAPE, tree, pages.__getitem__, store)
        done = 0
        for first, count, kind in sorted(increment):
            begin, end = max(first, done), min(first + count * (REGION if kind == 2 else 1), BLOCKS)
            if begin >= end:
                continue
            one, last = model[begin], model[end - 1]
            begin, end = begin if one is None else one.first, end if last is None else last.end
            if begin < done:
                continue
            parts = chunks(begin, end - begin, first) if kind == 1 else [Part(begin, end - begin, ZERO_ID)]
            writer.put(parts)
            for part in parts:
                model[part.first : part.end] = [None if part.is_zero else part] * part.count
            done = end
        tree = writer.finish()
    expected = list(dict.fromkeys(part for part in model if part is not None))
    assert list(MapReader(SHAPE, tree, pages.__getitem__).chunks()) == expected
    again = MapWriter(SHAPE, ZERO_ID, pages.__getitem__, store)
    again.put(expected)
    assert again.finish() == tree, "the root must depend on the chunks alone"


def test_an_increment_touches_only_the_path_to_what_changed() -> None:
    tree, parts = full()
    loaded: list[bytes] = []
    stored: list[bytes] = []

    def load(page: bytes) -> bytes:
        loaded.append(page)
        return pages[page]

    def keep(page: bytes) -> bytes:
        stored.append(page)
        return store(page)

    changed = MapWriter(SHAPE, tree, load, keep)
    changed.put([Part(parts[12345].first, parts[12345].count, id_of(-1))])
    assert changed.finish() != tree
    assert (len(loaded), len(stored)) == (3, 3)


def test_what_is_put_again_changes_nothing() -> None:
    tree, parts = full()
    writer = MapWriter(SHAPE, tree, pages.__getitem__, lambda page: pytest.fail("a page is stored"))
    writer.put(parts[100:200])
    assert writer.finish() == tree


def test_clearing_a_whole_disk_loads_nothing() -> None:
    cleared = MapWriter(SHAPE, full()[0], lambda page: pytest.fail("a page is loaded"), store)
    cleared.put([Part(0, BLOCKS, ZERO_ID)])
    assert cleared.finish() == ZERO_ID


def test_clearing_nearly_all_loads_a_page_per_level_at_each_end() -> None:
    tree, parts = full()
    loaded: list[bytes] = []
    cleared = MapWriter(SHAPE, tree, lambda page: loaded.append(page) or pages[page], store)
    cleared.put([Part(parts[0].end, parts[-1].first - parts[0].end, ZERO_ID)])
    found = MapReader(SHAPE, cleared.finish(), pages.__getitem__).chunks()
    assert list(found) == [parts[0], parts[-1]]
    assert len(loaded) <= 5


def test_reading_a_range_loads_only_its_pages() -> None:
    tree, parts = full()
    loaded: list[bytes] = []
    reader = MapReader(SHAPE, tree, lambda page: loaded.append(page) or pages[page])
    wanted = [part for part in parts if part.end > 40_001 and part.first < 40_006]
    assert list(reader.chunks(40_001, 5)) == wanted
    assert len(loaded) <= 4


def test_a_page_of_another_level_or_length_is_refused() -> None:
    tree, _ = full()
    top = pages[tree]
    assert decode_page(top, 2, 2) == top[4:]
    for level, count in ((1, 2), (2, 1), (2, 3)):
        with pytest.raises(VaultDataCorrupt):
            decode_page(top, level, count)
