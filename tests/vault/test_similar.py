"""Disks that hold the same at other places share chunks, and an increment costs what lies around a change."""

from pathlib import Path

import pytest

from overwinter.model.extent import Extent
from overwinter.vault import DiskMap, VaultStore
from overwinter.vault.chunking import BLOCK
from overwinter.vault.leaf import Part
from overwinter.vault.restore import open_map
from tests.vault.disks import back_up, manifest, new_vault, noise, read_from, reopen, restore

MIB = 1024 * 1024
SIZE = 128 * 1024


@pytest.fixture
def vault(tmp_path: Path) -> VaultStore:
    return new_vault(tmp_path, chunk_size=SIZE)


def chunks(vault: VaultStore, disk: DiskMap) -> list[Part]:
    return list(open_map(vault._blobs, disk).chunks())


def test_what_moved_by_blocks_is_stored_once(tmp_path: Path, vault: VaultStore) -> None:
    files = [noise(seed, 3 * MIB) for seed in range(8)]
    one = b"".join(files)
    other = noise(9, 7 * BLOCK) + b"".join(reversed(files)) + noise(10, 5000)
    back_up(vault, "1", one)
    with vault.session("2") as session:
        found = session.store_disk("vda", len(other), [Extent(0, len(other))], read_from(other))
        session.commit(manifest("2", found))
        assert session.stats.bytes_new < 0.3 * len(other)
    assert restore(reopen(tmp_path), found) == other


def test_zeros_are_left_out_wherever_they_begin(vault: VaultStore) -> None:
    disk = noise(1, 300 * BLOCK) + bytes(100 * BLOCK) + noise(2, 30 * BLOCK) + bytes(5 * BLOCK) + noise(3, 70)
    found = back_up(vault, "1", disk)
    assert vault.data_size(found) == len(disk) - 100 * BLOCK
    assert list(vault.changes(found)) == [
        Extent(0, 300 * BLOCK),
        Extent(400 * BLOCK, len(disk) - 400 * BLOCK),
    ]
    assert restore(vault, found) == disk


def test_an_increment_replaces_the_chunks_that_it_touches(vault: VaultStore) -> None:
    disk = bytearray(noise(1, 20 * MIB + 123))
    parent = back_up(vault, "1", bytes(disk))
    before = chunks(vault, parent)
    changes = [Extent(offset, 3000) for offset in (10, 5 * MIB - 1500, 16 * MIB - 1500, len(disk) - 3000)]
    for change in changes:
        disk[change.offset : change.end] = noise(change.offset, change.length)
    touched = [
        part
        for part in before
        if any(part.first * BLOCK < change.end and part.end * BLOCK > change.offset for change in changes)
    ]
    with vault.session("2") as session:
        found = session.store_disk("vda", len(disk), changes, read_from(disk), parent)
        session.commit(manifest("2", found))
        assert session.stats.bytes_read == sum(map(parent.length, touched))
    assert set(before) - set(chunks(vault, found)) == set(touched)
    assert restore(vault, found) == disk
    wanted = {block for part in touched for block in range(part.first, part.end)}
    differing = {
        block
        for extent in vault.changes(found, parent)
        for block in range(extent.offset // BLOCK, -(-extent.end // BLOCK))
    }
    assert differing == wanted


def test_zeros_within_a_chunk_are_told_and_found(vault: VaultStore) -> None:
    disk = bytearray(noise(1, 4 * MIB))
    parent = back_up(vault, "1", bytes(disk))
    long, short = Extent(MIB, 40 * BLOCK, zero=True), Extent(2 * MIB, 3 * BLOCK, zero=True)
    for extent in (long, short):
        disk[extent.offset : extent.end] = bytes(extent.length)
    found = back_up(vault, "2", bytes(disk), [long, short], parent)
    assert restore(vault, found) == disk
    assert vault.data_size(found) == len(disk) - long.length
    # Data again, in the midst of zeros: nothing beside it is read.
    written = Extent(long.offset + 10 * BLOCK, BLOCK)
    disk[written.offset : written.end] = noise(2, written.length)
    with vault.session("3") as session:
        third = session.store_disk("vda", len(disk), [written], read_from(disk), found)
        session.commit(manifest("3", third))
        assert session.stats.bytes_read == BLOCK
    assert restore(vault, third) == disk


def test_the_same_disk_has_the_same_map(vault: VaultStore) -> None:
    disk = noise(1, 3 * MIB) + bytes(2 * MIB) + noise(2, 14 * MIB)
    found = back_up(vault, "1", disk)
    assert back_up(vault, "2", disk) == found
    halves = [Extent(0, 3 * MIB), Extent(5 * MIB, 14 * MIB)]
    assert back_up(vault, "3", disk, halves) == found, "zeros that are told are zeros that are found"
    assert back_up(vault, "4", disk, [Extent(6 * MIB, 1)], found) == found
