"""Reading disks back: whole disks fast, in the order of the packs; ranges on request.

Nothing is handed on unverified.
"""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice, zip_longest

from overwinter.model.errors import VaultDataCorrupt
from overwinter.vault.blobs import BlobStore
from overwinter.vault.diskmap import ZERO_ID, DiskMap, MapReader, Shape, decode_root
from overwinter.vault.pack import pack_name
from overwinter.vault.seal import BlobKind
from overwinter.vault.workers import ordered_map, worker_count

#: Chunks whose places are sorted together (16 GiB of disk): each pack is read once per so many.
_WINDOW = 64 * 1024

#: What one worker fetches from a pack at a time, in bytes.
_FETCH = 4 * 1024 * 1024

#: At most so many chunks are joined into one write.
_RUN = 16

#: Unwanted bytes between two wanted entries that are fetched along rather than asked for apart.
_GAP = 64 * 1024

WriteDisk = Callable[[int, bytes], object]


@dataclass(frozen=True)
class _Wanted:
    """A chunk of the disk and where it is stored."""

    pack: bytes
    offset: int
    number: int
    length: int
    id: bytes


def open_map(blobs: BlobStore, disk: DiskMap) -> MapReader:
    """A reader of a disk's map. Raises ``VaultDataCorrupt``."""
    tree = decode_root(blobs.read(BlobKind.PAGE, disk.root), disk.size, disk.chunk_size)
    return MapReader(Shape(disk.size, disk.chunk_size), tree, lambda page: blobs.read(BlobKind.PAGE, page))


def restore_disk(
    blobs: BlobStore,
    disk: DiskMap,
    write: WriteDisk,
    target: str,
    progress: Callable[[int], None] | None,
    cancelled: Callable[[], None] | None,
) -> None:
    """See ``VaultStore.restore_disk``."""

    def fetch(group: list[_Wanted]) -> int:
        if cancelled is not None:
            cancelled()
        return _fetch(blobs, disk, group, write, target)

    done = 0
    results = ordered_map(fetch, _groups(_wanted(blobs, disk, target)), worker_count())
    with closing(results):  # nothing is written after a failure is reported
        for written in results:
            done += written
            if progress is not None:
                progress(done)


def data_size(blobs: BlobStore, disk: DiskMap) -> int:
    """See ``VaultStore.data_size``."""
    total = 0
    for run in open_map(blobs, disk).runs(0, -(-disk.size // disk.chunk_size)):
        for number, chunk_id in run:
            if chunk_id != ZERO_ID:
                total += min(disk.chunk_size, disk.size - number * disk.chunk_size)
    return total


def read_range(blobs: BlobStore, disk: DiskMap, offset: int, length: int) -> bytes:
    """See ``VaultStore.read_range``."""
    if offset < 0 or length < 0 or offset + length > disk.size:
        raise ValueError(f"{length} bytes from {offset} do not lie within a disk of {disk.size} bytes")
    result = bytearray(length)
    first, end = offset // disk.chunk_size, -(-(offset + length) // disk.chunk_size)
    for run in open_map(blobs, disk).runs(first, end - first):
        for number, chunk_id in run:
            if chunk_id == ZERO_ID:
                continue
            start = number * disk.chunk_size
            with _naming(f"Disk offset {start}"):
                chunk = blobs.read(BlobKind.CHUNK, chunk_id)
                _check_length(disk, number, chunk)
            low, high = max(start, offset), min(start + len(chunk), offset + length)
            result[low - offset : high - offset] = chunk[low - start : high - start]
    return bytes(result)


def _wanted(blobs: BlobStore, disk: DiskMap, target: str) -> Iterator[_Wanted]:
    """Every chunk of the disk that is not zero, sorted by pack within windows of the disk."""

    def located() -> Iterator[_Wanted]:
        with _naming(f"Disk {target}"):
            for run in open_map(blobs, disk).runs(0, -(-disk.size // disk.chunk_size)):
                for number, chunk_id in run:
                    if chunk_id != ZERO_ID:
                        with _naming(f"offset {number * disk.chunk_size}"):
                            location = blobs.locate(BlobKind.CHUNK, chunk_id)
                        yield _Wanted(location.pack, location.offset, number, location.length, chunk_id)

    chunks = located()
    while window := list(islice(chunks, _WINDOW)):
        # Packs in the order in which the disk first needs them: the target is written nearly in order.
        first: dict[bytes, int] = {}
        for chunk in window:
            first.setdefault(chunk.pack, chunk.number)
        yield from sorted(window, key=lambda chunk: (first[chunk.pack], chunk.offset, chunk.number))


def _groups(chunks: Iterator[_Wanted]) -> Iterator[list[_Wanted]]:
    """Neighbouring chunks of one pack together, as one fetch."""
    group: list[_Wanted] = []
    for chunk in chunks:
        if group:
            begin, last = group[0].offset, group[-1].offset + group[-1].length
            if (
                chunk.pack != group[0].pack
                or not begin <= chunk.offset <= last + _GAP
                or chunk.offset + chunk.length - begin > _FETCH
            ):
                yield group
                group = []
        group.append(chunk)
    if group:
        yield group


def _fetch(blobs: BlobStore, disk: DiskMap, group: list[_Wanted], write: WriteDisk, target: str) -> int:
    """Fetch, verify and write a group of chunks; gives the bytes written. Runs in a worker thread."""
    begin, end = group[0].offset, max(chunk.offset + chunk.length for chunk in group)
    with _naming(f"Disk {target}, offset {group[0].number * disk.chunk_size}"):
        stored = blobs.storage.get_range(pack_name(group[0].pack), begin, end - begin)
    written = 0
    last_id, content = b"", b""
    run: list[bytes] = []  # verified chunks that follow each other on the disk, written at once
    for chunk, following in zip_longest(group, group[1:]):
        offset = chunk.number * disk.chunk_size
        with _naming(f"Disk {target}, offset {offset}"):
            if chunk.id != last_id:
                entry = stored[chunk.offset - begin : chunk.offset - begin + chunk.length]
                content = blobs.open(BlobKind.CHUNK, chunk.id, chunk.pack, chunk.offset, entry)
                last_id = chunk.id
            _check_length(disk, chunk.number, content)
        run.append(content)
        if following is None or following.number != chunk.number + 1 or len(run) == _RUN:
            write((chunk.number + 1 - len(run)) * disk.chunk_size, run[0] if len(run) == 1 else b"".join(run))
            run.clear()
        written += len(content)
    return written


def _check_length(disk: DiskMap, number: int, chunk: bytes) -> None:
    expected = min(disk.chunk_size, disk.size - number * disk.chunk_size)
    if len(chunk) != expected:
        raise VaultDataCorrupt(f"A chunk has {len(chunk)} bytes where the disk has {expected}.")


@contextmanager
def _naming(where: str) -> Iterator[None]:
    """Say in an error of damage which place of the disk it touches."""
    try:
        yield
    except VaultDataCorrupt as error:
        raise type(error)(f"{where}: {error.message}") from error
