"""Marking: what is live, in which pack, and which of several records of a blob counts."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overwinter.model.errors import VaultObjectMissing
from overwinter.vault.index import Index
from overwinter.vault.liveness import Liveness, PackUse
from overwinter.vault.seal import ID_LENGTH
from tests.vault.test_index import BLOBS, PACKS, Record, blob_id, pack_id, table

places = st.sets(st.tuples(st.integers(0, BLOBS - 1), st.integers(0, PACKS - 1), st.integers(0, 1)))


def liveness(records: list[Record]) -> Liveness:
    """Of an index that got its records one by one, in this order."""
    index = Index()
    for one in records:
        index.add(table([one]))
    return Liveness(index.snapshot())


def ids(*blobs: int) -> bytes:
    return b"".join(map(blob_id, blobs))


def used(records: list[Record], *blobs: int) -> set[int]:
    """The packs in which something is live."""
    live = liveness(records)
    live.mark(ids(*blobs))
    return {pack[0] for pack, use in live.settle().items() if use.live}


@given(places, st.data())
def test_each_marked_blob_is_live_once(records: set[Record], data: st.DataObject) -> None:
    stored = sorted({blob for blob, _, _ in records})
    needed = data.draw(st.lists(st.sampled_from(stored), max_size=30) if stored else st.just([]))
    results = []
    for order in (sorted(records), sorted(records, reverse=True)):
        live = liveness(order)
        for begin in range(0, len(needed), 7):
            live.mark(ids(*needed[begin : begin + 7]))
        uses = live.settle()
        found = {
            (pack, blob.id, blob.offset, blob.length)
            for pack, blobs in live.live({pack_id(pack) for pack in range(PACKS)})
            for blob in blobs
        }
        results.append((uses, found))
    assert results[0] == results[1], "the choice depends on the order of the tables"

    true = {(pack_id(pack), blob_id(blob), at, blob + 1) for blob, pack, at in records}
    assert found <= true
    assert sorted(one for _, one, _, _ in found) == sorted(blob_id(blob) for blob in set(needed))
    assert uses == {
        pack: PackUse(live=sum(one[0] == pack for one in found), total=sum(one[0] == pack for one in true))
        for pack in {one[0] for one in true}
    }


def test_a_blob_counts_as_new_once() -> None:
    live = liveness([(blob, 0, 0) for blob in range(8)])
    first = live.mark(ids(3, 5, 3) + bytes(ID_LENGTH) + ids(3))
    assert sorted(first.tolist()) == [False, False, False, True, True]
    assert first[1] and not first[3]
    assert live.mark(ids(5, 4, 3)).tolist() == [False, True, False]
    assert live.mark(b"").tolist() == []


@pytest.mark.parametrize("missing", range(BLOBS, BLOBS + 4))
def test_an_unknown_blob_is_an_error(missing: int) -> None:
    live = liveness([(blob, 0, 0) for blob in range(BLOBS)])
    with pytest.raises(VaultObjectMissing):
        live.mark(ids(0, 1, missing, 2))


def test_of_two_equal_packs_one_becomes_free() -> None:
    assert used([(blob, pack, 0) for blob in range(6) for pack in (1, 2)], *range(6)) == {1}


def test_a_pack_that_holds_all_frees_those_that_hold_parts() -> None:
    records = [(blob, 2, 0) for blob in range(6)]
    records += [(blob, 1, 0) for blob in range(3)] + [(blob, 3, 0) for blob in range(3, 6)]
    assert used(records, *range(6)) == {2}


def test_a_pack_that_must_stay_frees_a_fuller_one() -> None:
    """Pack 3 alone has blob 0, so it serves what pack 1 has too, although less of pack 3 is needed."""
    records = [(blob, 1, 0) for blob in range(1, 7)]
    records += [(0, 3, 0), (1, 3, 0), (2, 3, 0), (3, 4, 0), (4, 4, 0), (5, 4, 0), (6, 4, 0), (7, 4, 0)]
    assert used(records, *range(8)) == {3, 4}


def test_live_entries_come_by_pack_and_offset() -> None:
    records = [(blob, blob % 3, random.Random(blob).randrange(1000)) for blob in range(BLOBS)]
    live = liveness(records)
    live.mark(ids(*range(0, BLOBS, 2)))
    live.settle()
    found = dict(live.live({pack_id(0), pack_id(2), pack_id(4)}))
    assert list(found) == [pack_id(0), pack_id(2)]
    for pack, blobs in found.items():
        assert [blob.offset for blob in blobs] == sorted(
            at for blob, number, at in records if pack_id(number) == pack and blob % 2 == 0
        )
