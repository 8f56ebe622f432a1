"""Journals to replay are seen in superblocks."""

import subprocess
from pathlib import Path

import pytest

from testkit.disks import MIB, make_ext4
from testkit.journals import btrfs_has_log_to_replay, ext4_has_journal_to_replay


@pytest.mark.parametrize("offset", [0, 3 * MIB])
def test_ext4(tmp_path: Path, offset: int) -> None:
    raw = tmp_path / "raw"
    with raw.open("wb") as file:
        file.truncate(offset + 16 * MIB)
    make_ext4(raw, offset=offset, size=16 * MIB)
    assert not ext4_has_journal_to_replay(raw, offset)
    mark = ["debugfs", "-w", "-R", "feature needs_recovery", f"{raw}?offset={offset}"]
    subprocess.run(mark, check=True, capture_output=True)
    assert ext4_has_journal_to_replay(raw, offset)
    with pytest.raises(ValueError, match="no ext4"):
        ext4_has_journal_to_replay(raw, offset + MIB)


def test_btrfs(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    superblock = bytearray(4096)
    raw.write_bytes(bytes(64 * 1024) + superblock)
    with pytest.raises(ValueError, match="no btrfs"):
        btrfs_has_log_to_replay(raw)
    superblock[0x40:0x48] = b"_BHRfS_M"
    raw.write_bytes(bytes(64 * 1024) + superblock)
    assert not btrfs_has_log_to_replay(raw)
    superblock[0x62] = 1
    raw.write_bytes(bytes(64 * 1024) + superblock)
    assert btrfs_has_log_to_replay(raw)
