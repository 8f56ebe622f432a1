"""Chunks that arrive together are compressed as one, and each is found again."""

from pathlib import Path
from uuid import UUID

import pytest

from overwinter.model.errors import VaultDataCorrupt
from overwinter.model.extent import Extent
from overwinter.vault.pack import Blob, BlobDecoder, Encoding, PackBuilder
from overwinter.vault.seal import BlobKind, ObjectKind, VaultKeys
from overwinter.vault.storage import LocalStorage
from tests.vault.disks import back_up, new_vault, noise, reopen, restore

MIB = 1024 * 1024


def stored(directory: Path) -> int:
    return sum(found.size for found in LocalStorage(directory).list("packs/"))


def test_what_two_chunks_share_is_stored_once(tmp_path: Path) -> None:
    """The same noise at another distance from the chunk's begin: not equal chunks, but they compress."""
    shared = noise(1, 200_000)
    disk = (noise(2, 1000) + shared).ljust(256 * 1024, b"\0") + shared.ljust(256 * 1024, b"\0")
    back_up(new_vault(tmp_path), "1", disk)
    assert stored(tmp_path) < 1.1 * len(shared)
    assert restore(reopen(tmp_path), reopen(tmp_path).manifest("1").disks[0].map) == disk


@pytest.mark.parametrize("chunk_size", [4096, 64 * 1024, 256 * 1024])
def test_every_chunk_of_a_segment_is_found(tmp_path: Path, chunk_size: int) -> None:
    disk = noise(3, 5 * MIB + 777)  # the last chunk is shorter
    vault = new_vault(tmp_path, chunk_size=chunk_size)
    back_up(vault, "1", disk)
    vault = reopen(tmp_path)
    found = vault.manifest("1").disks[0].map
    assert restore(vault, found) == disk
    for offset in range(0, len(disk), 300_000):
        assert vault.read_range(found, offset, 5000) == disk[offset : offset + 5000]


def test_a_segment_of_scattered_chunks_reads_back(tmp_path: Path) -> None:
    disk = bytearray(noise(4, 8 * MIB))
    vault = new_vault(tmp_path)
    parent = back_up(vault, "1", bytes(disk))
    changes = [Extent(offset, 64 * 1024) for offset in range(100_000, len(disk), MIB)]
    for change in changes:
        disk[change.offset : change.end] = noise(change.offset, change.length)
    found = back_up(vault, "2", bytes(disk), changes, parent)
    # The vault's first chunk again, at other places, in one segment with new ones.
    disk[2 * MIB : 3 * MIB] = disk[:MIB]
    third = back_up(vault, "3", bytes(disk), [Extent(2 * MIB, MIB)], found)
    vault = reopen(tmp_path)
    assert restore(vault, third) == disk


def test_a_number_outside_its_segment_is_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = noise(5, MIB)
    found = back_up(new_vault(tmp_path), "1", disk)
    vault = reopen(tmp_path)
    monkeypatch.setattr("overwinter.vault.index.split_extent", lambda extent: (extent >> 8, 200))
    with pytest.raises(VaultDataCorrupt, match="hash differs"):
        vault.read_range(found, 0, 10)


@pytest.mark.parametrize("lengths", [[5, 4], [5, 6], [10, 1], [2**32 - 1, 11]])
def test_lengths_that_do_not_make_up_a_segment_are_damage(lengths: list[int]) -> None:
    keys = VaultKeys(bytes(32), UUID(int=1))
    cipher = keys.new_cipher(ObjectKind.PACK, "packs/00/00", lambda length: bytes(length))
    builder = PackBuilder(b"\0" * 8, cipher, bytearray(MIB))
    blobs = [Blob(bytes([number]) * 16, length) for number, length in enumerate(lengths)]
    builder.add(BlobKind.CHUNK, blobs, Encoding.PLAIN, b"0123456789")
    (entry, _) = builder.entries
    stored = builder.buffer[entry.offset : entry.offset + entry.length]
    with pytest.raises(VaultDataCorrupt, match="do not make it up"):
        BlobDecoder().decode(cipher, BlobKind.CHUNK, entry.offset, stored)
