"""Whether a file system on a disk image has a journal to replay: read in its superblock, nothing is mounted.

ext4 sets a mark while it is mounted for writing, and takes it back when it is frozen or unmounted. btrfs
names a log when something was synced since its last commit; a freeze commits. XFS cannot be asked: it leaves
a record in its log on purpose when it is frozen.
"""

from pathlib import Path

_EXT4_START, _EXT4_MAGIC = 1024, b"\x53\xef"
_EXT4_MAGIC_AT, _EXT4_INCOMPATIBLE_AT = 0x38, 0x60
_EXT4_RECOVER = 0x4

_BTRFS_START, _BTRFS_MAGIC = 64 * 1024, b"_BHRfS_M"
_BTRFS_MAGIC_AT, _BTRFS_LOG_ROOT_AT = 0x40, 0x60


def ext4_has_journal_to_replay(raw: Path, offset: int = 0) -> bool:
    """Of an ext4 that begins ``offset`` bytes into a raw image. Raises ValueError when none does."""
    superblock = _read(raw, offset + _EXT4_START)
    if not superblock.startswith(_EXT4_MAGIC, _EXT4_MAGIC_AT):
        raise ValueError(f"no ext4 at {offset} in {raw}")
    return bool(superblock[_EXT4_INCOMPATIBLE_AT] & _EXT4_RECOVER)


def btrfs_has_log_to_replay(raw: Path) -> bool:
    """Of a btrfs on the whole of a raw image. Raises ValueError when there is none."""
    superblock = _read(raw, _BTRFS_START)
    if not superblock.startswith(_BTRFS_MAGIC, _BTRFS_MAGIC_AT):
        raise ValueError(f"no btrfs in {raw}")
    return any(superblock[_BTRFS_LOG_ROOT_AT : _BTRFS_LOG_ROOT_AT + 8])


def _read(raw: Path, offset: int) -> bytes:
    with raw.open("rb") as file:
        file.seek(offset)
        return file.read(512)
