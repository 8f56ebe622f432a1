"""The store of the vault tier: crypto, packs, index, disk maps, manifests. See docs/vault-format.md."""

from overwinter.vault.collect import CollectStats
from overwinter.vault.diskmap import DiskMap
from overwinter.vault.keys import KeySource
from overwinter.vault.manifest import Manifest, ManifestDisk
from overwinter.vault.plan import bytes_to_read
from overwinter.vault.rebuild import rebuild_index
from overwinter.vault.repair import LostPoint, RepairReport, repair
from overwinter.vault.report import Damage, DamagedDisk, VerifyReport
from overwinter.vault.session import Session, SessionStats
from overwinter.vault.store import VaultStore, create_vault, open_vault

__all__ = [
    "CollectStats",
    "Damage",
    "DamagedDisk",
    "DiskMap",
    "KeySource",
    "LostPoint",
    "Manifest",
    "ManifestDisk",
    "RepairReport",
    "Session",
    "SessionStats",
    "VaultStore",
    "VerifyReport",
    "bytes_to_read",
    "create_vault",
    "open_vault",
    "rebuild_index",
    "repair",
]
