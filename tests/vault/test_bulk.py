"""Many blobs at once: each comes with its own content or none, whatever is damaged, missing or repeated."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from overwinter.vault import VaultStore
from overwinter.vault.bulk import read_many
from overwinter.vault.pack import pack_name
from overwinter.vault.seal import ID_LENGTH, BlobKind
from overwinter.vault.storage import LocalStorage
from tests.vault.damages import flip
from tests.vault.disks import CHUNK, back_up, new_vault, noise, reopen

CHUNKS = 200


class SeveralAtOnce(LocalStorage):
    """A directory that asks to be read by several threads, as object stores do."""

    reads_at_once = 4  # type: ignore[assignment]  # a property of the parent


def filled(directory: Path, storage: type[LocalStorage]) -> VaultStore:
    """A vault with segments of three chunks in packs of 64 KiB."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("overwinter.vault.session._BATCH_BYTES", 3 * CHUNK)
        patch.setattr("overwinter.vault.pack.PACK_SIZE", 64 * 1024)
        back_up(new_vault(directory), "1", b"".join(noise(number, CHUNK) for number in range(CHUNKS)))
    return reopen(directory, storage(directory))


@pytest.fixture(scope="module", params=[LocalStorage, SeveralAtOnce])
def vault(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> VaultStore:
    return filled(tmp_path_factory.mktemp("vault"), request.param)


def ids(vault: VaultStore) -> list[bytes]:
    return [vault._blobs.keys.identity(BlobKind.CHUNK, noise(number, CHUNK)) for number in range(CHUNKS)]


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wanted=st.lists(st.integers(0, CHUNKS), max_size=300))
def test_each_blob_comes_once_with_its_own_content(vault: VaultStore, wanted: list[int]) -> None:
    known = [*ids(vault), bytes(ID_LENGTH)]
    read = list(read_many(vault._blobs, BlobKind.CHUNK, [known[number] for number in wanted]))
    assert sorted(position for position, _ in read) == list(range(len(wanted)))
    for position, content in read:
        number = wanted[position]
        assert content == (None if number == CHUNKS else noise(number, CHUNK))


@pytest.mark.parametrize("storage", [LocalStorage, SeveralAtOnce])
def test_damaged_and_missing_blobs_come_without_content(tmp_path: Path, storage: type[LocalStorage]) -> None:
    vault = filled(tmp_path, storage)
    blobs, wanted = vault._blobs, ids(vault)
    places = [blobs.index.find(each) for each in wanted]
    damaged, gone = places[0], places[-1]
    assert damaged is not None and gone is not None and damaged.pack != gone.pack
    flip(tmp_path, pack_name(damaged.pack), damaged.offset + 40)
    (tmp_path / pack_name(gone.pack)).unlink()
    harmed = {
        number
        for number, place in enumerate(places)
        if place is not None
        and (place.pack == gone.pack or (place.pack, place.offset) == (damaged.pack, damaged.offset))
    }
    read = dict(read_many(blobs, BlobKind.CHUNK, wanted))
    assert {position for position, content in read.items() if content is None} == harmed
    assert 0 < len(harmed) < CHUNKS
