"""Vaults of a few KiB, made in milliseconds: the only place where the proofs of the vault call the store.

Within ``in_order`` the store works in the caller's thread, with tiny packs, so that thousands of crashes can
be tried, and the same seed gives the same calls of the storage in the same order.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TypeVar
from unittest.mock import patch
from uuid import UUID

from overwinter.model.extent import Extent
from overwinter.model.point import Consistency
from overwinter.model.protection import KeyKind
from overwinter.vault import (
    KeySource,
    Manifest,
    ManifestDisk,
    Session,
    VaultStore,
    add_wrap,
    remove_wrap,
)
from overwinter.vault.announcements import Timing
from overwinter.vault.keys import unlock
from overwinter.vault.keys.random_key import RandomKey
from overwinter.vault.presence import Presence
from overwinter.vault.repair import RepairReport, repair_on
from overwinter.vault.storage import Buffer, Storage
from overwinter.vault.store import create_vault_on, open_vault_on
from testkit import lockstep

CHUNK = 4096
VAULT_ID = UUID("5f0c2b5e-6c1e-4a5f-9a0e-0d6f6a3f0001")
VM_ID = UUID("5f0c2b5e-6c1e-4a5f-9a0e-0d6f6a3f0002")

#: The disks of one recovery point.
Disks = tuple[bytes, ...]

#: Kept small: what a session fills before it writes, how often it writes the index, and parts of that.
_SMALL = {
    "overwinter.vault.pack.PACK_SIZE": 12 * 1024,
    "overwinter.vault.packing.PACK_SIZE": 12 * 1024,
    "overwinter.vault.packing.PACKS_PER_INDEX": 2,
    "overwinter.vault.session._BATCH_BYTES": 3 * 4096,
    "overwinter.vault.collect._MOST_INDEX_OBJECTS": 6,
    "overwinter.vault.index.SHARDS": 2,
    "overwinter.vault.table.SHARDS": 2,
    "overwinter.vault.table._SHARD_SHIFT": 63,
}

_URL = "file:///vault"

#: The time of all that happens.
NOW = datetime(2026, 6, 1, tzinfo=UTC)

#: The machine that processes run on where nothing else is said.
HERE = "here"

#: The numbers of the processes that are alive: who is, the test decides. Number 0 always is.
ALIVE = {0}

#: Whether other machines live is seen at once.
_TIMING = Timing(beat=1e6, patience=0, poll=0)

Result = TypeVar("Result")


class _CallersThread(Executor):
    """Does everything at once in the thread that asks."""

    def __init__(self, max_workers: int = 1, thread_name_prefix: str = "") -> None: ...

    def submit(
        self, function: Callable[..., Result], /, *arguments: object, **named: object
    ) -> Future[Result]:
        """The future of a call that is already done."""
        future: Future[Result] = Future()
        try:
            future.set_result(function(*arguments, **named))
        except BaseException as error:  # noqa: BLE001 (whoever asks for the result gets it)
            future.set_exception(error)
        return future


class _NoThreads:
    """What the store takes from ``threading``: locks that pause, and no signs of life of announcements."""

    Event = threading.Event
    Lock = lockstep.Lock
    local = threading.local

    class Thread:
        """A thread that does nothing."""

        def __init__(self, **_arguments: object) -> None: ...

        def start(self) -> None:
            """Begin and end."""

        def is_alive(self) -> bool:
            """No."""
            return False


@contextmanager
def in_order() -> Iterator[None]:
    """Small packs, no thread but the caller's, and no process alive but those that are said to be."""
    with ExitStack() as stack:
        stack.enter_context(patch("overwinter.vault.presence._started", _started))
        stack.enter_context(patch("overwinter.vault.presence._machine", lambda: HERE))
        for place, value in _SMALL.items():
            stack.enter_context(patch(place, value))
        for module in ("announcements", "blobs", "packing", "store", "storage.local"):
            stack.enter_context(patch(f"overwinter.vault.{module}.threading", _NoThreads))
        for module in ("packing", "workers"):
            stack.enter_context(patch(f"overwinter.vault.{module}.ThreadPoolExecutor", _CallersThread))
        yield


def key(number: int = 0) -> KeySource:
    """A key without the cost of a passphrase."""
    return KeySource(RandomKey(KeyKind.KEY_FILE, bytes([number]) * 32))


def process(number: int, machine: str = HERE) -> Presence:
    """The process of a number; it is `alive` while it is said so."""
    return Presence(machine, number, started=number)


#: Who looks at vaults: a process that is always alive.
OBSERVER = process(0)


@contextmanager
def alive(number: int) -> Iterator[None]:
    """A process lives for the length of the block."""
    ALIVE.add(number)
    try:
        yield
    finally:
        ALIVE.remove(number)


@contextmanager
def all_others_dead() -> Iterator[None]:
    """No process lives for the length of the block but the observer."""
    were = set(ALIVE)
    ALIVE.clear()
    ALIVE.add(OBSERVER.pid)
    try:
        yield
    finally:
        ALIVE.clear()
        ALIVE.update(were)


def create(storage: Storage, random: Random, presence: Presence = OBSERVER) -> VaultStore:
    """A new vault that ``key()`` opens, open in a process."""
    return create_vault_on(storage, _URL, key(), VAULT_ID, CHUNK, random.randbytes, presence, _TIMING)


def reopen(
    storage: Storage, random: Random, source: KeySource | None = None, presence: Presence = OBSERVER
) -> VaultStore:
    """Open a vault with ``key()`` or another key in a process."""
    return open_vault_on(storage, _URL, source or key(), random.randbytes, presence, _TIMING)


def repair(storage: Storage, random: Random, presence: Presence = OBSERVER) -> RepairReport:
    """Repair a vault that ``key()`` opens, in a process."""
    return repair_on(
        storage, _URL, key(), now=NOW, random=random.randbytes, presence=presence, timing=_TIMING
    )


def add_key(storage: Storage, random: Random, source: KeySource) -> None:
    """Let another key open the vault, too."""
    add_wrap(storage, key(), source, label="", created=NOW, random=random.randbytes)


def remove_key(storage: Storage, random: Random, source: KeySource) -> None:
    """Let a key open the vault no longer."""
    wrap = unlock(storage, source).stored.wrap
    remove_wrap(storage, key(), wrap.id, random=random.randbytes)


@contextmanager
def session(vault: VaultStore, point: str) -> Iterator[Session]:
    """A session that adds the point."""
    with vault.session(point) as opened:
        yield opened


def back_up(
    vault: VaultStore, point: str, disks: Disks, parent: tuple[Manifest, Disks] | None = None
) -> Manifest:
    """Add a recovery point; with ``parent`` only what differs from it is read."""
    with session(vault, point) as opened:
        manifest = transfer(opened, point, disks, parent)
        opened.commit(manifest)
    return manifest


def transfer(
    opened: Session, point: str, disks: Disks, parent: tuple[Manifest, Disks] | None = None
) -> Manifest:
    """Store the disks of a point; gives the manifest that would commit it."""
    stored = []
    for number, disk in enumerate(disks):
        target = f"vd{chr(97 + number)}"
        below = None if parent is None else parent[0].disks[number].map
        extents = [Extent(0, len(disk))] if parent is None else changes(parent[1][number], disk)
        disk_map = opened.store_disk(target, len(disk), extents, _reader(disk), below)
        stored.append(ManifestDisk(target, number - 1, len(disk), "raw", None, disk_map))
    return Manifest(
        point_id=point,
        vm_uuid=VM_ID,
        vm_name="mail",
        created=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=int(point)),
        consistency=Consistency.CRASH,
        disks=tuple(stored),
        domain_xml="<domain/>",
    )


def changes(before: bytes, after: bytes) -> list[Extent]:
    """Where two contents of one disk differ."""
    return [
        Extent(offset, min(CHUNK, len(after) - offset))
        for offset in range(0, len(after), CHUNK)
        if before[offset : offset + CHUNK] != after[offset : offset + CHUNK]
    ]


def read(vault: VaultStore, manifest: Manifest) -> Disks:
    """The disks of a point as restored."""
    disks = []
    for disk in manifest.disks:
        content = bytearray(disk.size)

        def write(offset: int, data: Buffer, to: bytearray = content) -> None:
            to[offset : offset + len(data)] = data

        vault.restore_disk(disk.map, write, target=disk.target)
        disks.append(bytes(content))
    return tuple(disks)


def some_disks(random: Random, chunks: Sequence[int] = (4, 2)) -> Disks:
    """New disks: text, noise, holes, and an end that is no whole chunk."""
    return tuple(
        b"".join(_some_chunk(random) for _ in range(count)) + random.randbytes(100 * number)
        for number, count in enumerate(chunks)
    )


def changed(random: Random, disks: Disks) -> Disks:
    """The disks after some writes of the guest."""
    result = []
    for disk in disks:
        content = bytearray(disk)
        for _ in range(random.randrange(3)):
            at = random.randrange(len(content) // CHUNK) * CHUNK
            content[at : at + CHUNK] = _some_chunk(random)
        result.append(bytes(content))
    return tuple(result)


def _started(number: int) -> int | None:
    return number if number in ALIVE else None


def _some_chunk(random: Random) -> bytes:
    kind = random.random()
    if kind < 0.2:
        return bytes(CHUNK)
    if kind < 0.5:
        return (random.randbytes(6).hex().encode() * CHUNK)[:CHUNK]
    return random.randbytes(CHUNK)


def _reader(disk: bytes) -> Callable[[int, memoryview], None]:
    def fill(offset: int, buffer: memoryview) -> None:
        buffer[:] = disk[offset : offset + len(buffer)]

    return fill
