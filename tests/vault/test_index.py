"""The index: look-ups and changes against a dictionary, beside readers, and its memory."""

import sys
import threading
import tracemalloc
from collections.abc import Iterable
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overwinter.model.errors import VaultDataCorrupt
from overwinter.vault.index import (
    RECORD_LENGTH,
    Index,
    IndexTable,
    Location,
    read_table,
    record,
    write_table,
)
from overwinter.vault.pack import Entry
from overwinter.vault.seal import ID_LENGTH, ObjectKind, VaultKeys, seal_object
from overwinter.vault.storage import LocalStorage
from tests.vault.disks import noise

BLOBS, PACKS = 24, 5
KEYS = VaultKeys(bytes(32), UUID(int=1))

Record = tuple[int, int, int]
"""Numbers of a blob and a pack, and the offset."""


def blob_id(number: int) -> bytes:
    """Ids at both ends, and many that share their first 8 bytes."""
    begin = (bytes(8), b"\xff" * 8, b"\x10" + bytes(7), noise(number, 8))[number % 4]
    return begin + bytes([number + 1]) * 8


def pack_id(number: int) -> bytes:
    return bytes([number]) * 8


def table(records: Iterable[Record]) -> IndexTable:
    return IndexTable.of(
        record(pack_id(pack), Entry(blob_id(blob), at, blob + 1, blob % 256)) for blob, pack, at in records
    )


def check(index: Index, model: set[Record]) -> None:
    ids = [blob_id(blob) for blob in range(BLOBS + 4)]  # the last ones are never added
    many = index.find_many(b"".join(ids))
    for blob, one in enumerate(ids):
        places = {
            Location(pack_id(pack), at, blob + 1, blob % 256) for found, pack, at in model if found == blob
        }
        for location in (index.find(one), many[blob]):
            assert location in places if places else location is None
    assert index.packs() == {pack_id(pack) for _, pack, _ in model}


records = st.lists(
    st.tuples(st.integers(0, BLOBS - 1), st.integers(0, PACKS - 1), st.integers(0, 1)), max_size=30
)
packs = st.sets(st.integers(0, PACKS - 1))
steps = st.one_of(
    st.tuples(st.just("add"), records),
    st.tuples(st.sampled_from(["forget", "keep"]), packs),
    st.tuples(st.just("write"), st.none()),
)


@given(st.lists(steps, max_size=12))
def test_index_equals_a_set_of_records(changes: list[tuple[str, list[Record] | set[int] | None]]) -> None:
    index = Index()
    model: set[Record] = set()
    for change, value in changes:
        if change == "add":
            index.add(table(value))  # type: ignore[arg-type]
            model.update(value)  # type: ignore[arg-type]
        elif change == "write":
            written = b"".join(segment.records for segment in index.snapshot().segments())
            assert IndexTable.of(_split(written)) == table(model)
            assert [one[:16] for one in _split(written)] == sorted(one[:16] for one in _split(written))
            assert len(index) == len(model)
        else:
            chosen = {pack_id(pack) for pack in value}  # type: ignore[union-attr]
            (index.forget if change == "forget" else index.keep)(chosen)
            model = {one for one in model if (one[1] in value) == (change == "keep")}  # type: ignore[operator]
        check(index, model)


def test_written_tables_are_read_again(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    whole = table((blob, blob % PACKS, 7) for blob in range(BLOBS))
    written = write_table(storage, KEYS, lambda length: noise(1, length), whole)
    assert sum(stored.size for stored in written) > len(whole.records)
    (stored,) = storage.list("index/")
    assert read_table(storage, KEYS, stored.name) == whole


def test_half_a_record_is_damage(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    cipher = KEYS.new_cipher(ObjectKind.INDEX, "index/00", lambda length: noise(1, length))
    storage.put("index/00", [seal_object(cipher, bytes(RECORD_LENGTH + 1))])
    with pytest.raises(VaultDataCorrupt, match="no whole records"):
        read_table(storage, KEYS, "index/00")


def test_readers_never_miss_a_record_while_the_index_changes() -> None:
    index = Index()
    added: list[bytes] = [noise(0, ID_LENGTH * 20)]
    index.add(_synthetic(0, 20, b"staying!"))
    done = threading.Event()
    missed: list[bytes] = []

    def read() -> None:
        while not done.is_set():
            ids = added[-1]
            if index.find(ids[:ID_LENGTH]) is None or not index.find_many(ids).found.all():
                missed.append(ids)

    readers = [threading.Thread(target=read) for _ in range(2)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(2e-5)
    try:
        for reader in readers:
            reader.start()
        for seed in range(1, 12):
            index.add(_synthetic(seed, 20, b"staying!"))
            added.append(noise(seed, ID_LENGTH * 20))
            index.add(_synthetic(1000 + seed, 20, seed.to_bytes(8, "big")))
            index.snapshot()
            index.forget({seed.to_bytes(8, "big")})
    finally:
        done.set()
        for reader in readers:
            reader.join()
        sys.setswitchinterval(interval)
    assert not missed


def test_memory_is_28_bytes_a_record_and_no_change_copies_the_index() -> None:
    """167 MiB for 1 TiB of unique data in chunks of 176 KiB."""
    count, per_table = 1_000_000, 20_000
    parts = [_synthetic(seed, per_table, noise(seed, 8)) for seed in range(count // per_table)]
    index = Index()
    most = 0
    tracemalloc.start()  # sees temporaries, not the records themselves: those lie outside the heap
    try:
        for part in parts:
            tracemalloc.reset_peak()
            index.add(part)
            most = max(most, tracemalloc.get_traced_memory()[1])
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert index.memory_bytes == 28 * count
    assert held < count
    assert most < 8 * count
    assert index.find_many(noise(7, ID_LENGTH * per_table)).found.all()


def test_a_large_index_is_written_in_segments() -> None:
    index = Index()
    for seed in range(6):
        index.add(_synthetic(seed, 100_000, noise(seed, 8)))
    segments = list(index.snapshot().segments())
    assert [len(segment) <= 256 * 1024 for segment in segments] == [True] * 3
    assert sum(map(len, segments)) == 600_000
    again = Index()
    for segment in reversed(segments):
        again.add(segment)
    assert b"".join(part.records for part in again.snapshot().segments()) == b"".join(
        part.records for part in segments
    )
    assert again.find_many(noise(5, ID_LENGTH * 100_000)).found.all()


def _synthetic(seed: int, count: int, pack: bytes) -> IndexTable:
    """Records of as many blobs in one pack."""
    ids = noise(seed, ID_LENGTH * count)
    return IndexTable.of(
        record(pack, Entry(ids[at : at + ID_LENGTH], at, 200_000, 0)) for at in range(0, len(ids), ID_LENGTH)
    )


def _split(records: bytes) -> list[bytes]:
    return [records[at : at + RECORD_LENGTH] for at in range(0, len(records), RECORD_LENGTH)]
