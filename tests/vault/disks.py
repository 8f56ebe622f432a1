"""Disks in memory and vaults in directories: what the tests of the vault room share."""

import random
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from overwinter.model.extent import Extent
from overwinter.model.point import Consistency
from overwinter.model.protection import KeyKind
from overwinter.vault import DiskMap, KeySource, Manifest, ManifestDisk, VaultStore
from overwinter.vault.keys.random_key import RandomKey
from overwinter.vault.presence import Presence
from overwinter.vault.storage import LocalStorage, Storage
from overwinter.vault.store import create_vault_on, open_vault_on

CHUNK = 4096
VAULT_ID = UUID("5f0c2b5e-6c1e-4a5f-9a0e-0d6f6a3f0001")
NOW = datetime(2026, 6, 1, tzinfo=UTC)

#: A process that is no more: who writes as it leaves what a dead process leaves.
DEAD = Presence(Presence.here().machine, pid=0x7FFFFFFF, started=1)
VM_ID = UUID("5f0c2b5e-6c1e-4a5f-9a0e-0d6f6a3f0002")


def new_vault(directory: Path, storage: Storage | None = None, chunk_size: int = CHUNK) -> VaultStore:
    return create_vault_on(storage or LocalStorage(directory), str(directory), key(), VAULT_ID, chunk_size)


def reopen(directory: Path, storage: Storage | None = None, presence: Presence | None = None) -> VaultStore:
    return open_vault_on(storage or LocalStorage(directory), str(directory), key(), presence=presence)


def key() -> KeySource:
    """A key without the cost of a passphrase."""
    return KeySource(RandomKey(KeyKind.KEY_FILE, bytes(range(32))))


def noise(seed: int, length: int) -> bytes:
    return random.Random(seed).randbytes(length)


def read_from(disk: bytes | bytearray) -> Callable[[int, memoryview], None]:
    def read(offset: int, buffer: memoryview) -> None:
        assert offset + len(buffer) <= len(disk), "the store reads beyond the disk"
        buffer[:] = disk[offset : offset + len(buffer)]

    return read


def back_up(
    vault: VaultStore,
    point: str,
    disk: bytes | bytearray,
    extents: Iterable[Extent] | None = None,
    parent: DiskMap | None = None,
) -> DiskMap:
    """One recovery point of one disk; the whole disk is read where no extents are given."""
    with vault.session(point) as session:
        whole = [Extent(0, len(disk))] if extents is None else extents
        stored = session.store_disk("vda", len(disk), whole, read_from(disk), parent)
        session.commit(manifest(point, stored))
    return stored


def manifest(point: str, *maps: DiskMap, nvram: bytes | None = None) -> Manifest:
    return Manifest(
        point_id=point,
        vm_uuid=VM_ID,
        vm_name="mail",
        created=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=int(point)),
        consistency=Consistency.FILE_SYSTEM,
        disks=tuple(
            ManifestDisk(f"vd{chr(97 + number)}", number - 1, disk.size, "qcow2", 65536, disk)
            for number, disk in enumerate(maps)
        ),
        domain_xml="<domain/>",
        nvram=nvram,
        properties={"generation": 3},
    )


def restore(vault: VaultStore, disk: DiskMap, target: str = "vda") -> bytes:
    """The disk as restored, every byte written at most once."""
    result = bytearray(disk.size)
    written: set[int] = set()

    def write(offset: int, data: bytes) -> None:
        assert offset not in written, "a range is written twice"
        written.add(offset)
        result[offset : offset + len(data)] = data

    vault.restore_disk(disk, write, target=target)
    return bytes(result)
