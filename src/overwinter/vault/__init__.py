"""The store of the vault tier: crypto, packs, index, disk maps, manifests. See docs/vault-format.md."""

from overwinter.vault.collect import CollectStats
from overwinter.vault.copy import CopyStats, bytes_to_copy, copy_points
from overwinter.vault.diskmap import DiskMap
from overwinter.vault.keys import (
    Argon2id,
    KeySource,
    TokenKey,
    UnreadableWrap,
    Wrap,
    add_wrap,
    change_wrap,
    key_at,
    new_recovery_key,
    pin_from_file,
    pin_from_terminal,
    remove_wrap,
    with_absolute_path,
    wraps,
)
from overwinter.vault.manifest import Manifest, ManifestDisk
from overwinter.vault.plan import bytes_to_read
from overwinter.vault.rebuild import rebuild_index
from overwinter.vault.repair import LostPoint, RepairReport, repair, vault_at
from overwinter.vault.report import Damage, DamagedDisk, VerifyReport
from overwinter.vault.session import Session, SessionStats
from overwinter.vault.stats import VaultStats
from overwinter.vault.storage import ReadCache, free_bytes, open_storage
from overwinter.vault.store import VaultStore, create_vault, open_vault

__all__ = [
    "Argon2id",
    "CollectStats",
    "CopyStats",
    "Damage",
    "DamagedDisk",
    "DiskMap",
    "KeySource",
    "LostPoint",
    "Manifest",
    "ManifestDisk",
    "ReadCache",
    "RepairReport",
    "Session",
    "SessionStats",
    "TokenKey",
    "UnreadableWrap",
    "VaultStats",
    "VaultStore",
    "VerifyReport",
    "Wrap",
    "add_wrap",
    "bytes_to_copy",
    "bytes_to_read",
    "change_wrap",
    "copy_points",
    "create_vault",
    "free_bytes",
    "key_at",
    "new_recovery_key",
    "open_storage",
    "open_vault",
    "pin_from_file",
    "pin_from_terminal",
    "rebuild_index",
    "remove_wrap",
    "repair",
    "vault_at",
    "with_absolute_path",
    "wraps",
]
