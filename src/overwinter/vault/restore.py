"""Reading disks back: whole disks fast, in the order of the packs; ranges on request.

Nothing is handed on unverified.
"""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import groupby, islice

from overwinter.model.errors import VaultDataCorrupt, VaultObjectMissing
from overwinter.vault.blobs import BlobStore
from overwinter.vault.chunking import BLOCK
from overwinter.vault.diskmap import DiskMap, MapReader, Shape, decode_root
from overwinter.vault.index import Location
from overwinter.vault.leaf import Part
from overwinter.vault.memory import keep_freed_memory
from overwinter.vault.pack import pack_name
from overwinter.vault.seal import BlobKind
from overwinter.vault.storage import Buffer
from overwinter.vault.workers import ordered_map, worker_count

#: Chunks whose places are sorted together (about 11 GiB of disk): each pack is read once per so many.
_WINDOW = 64 * 1024

#: What one worker fetches from a pack at a time, in bytes.
_FETCH = 4 * 1024 * 1024

#: Unwanted bytes between two wanted segments that are fetched along rather than asked for apart.
_GAP = 64 * 1024

WriteDisk = Callable[[int, memoryview], object]


@dataclass(frozen=True)
class _Wanted:
    """A chunk of the disk and where it is stored."""

    part: Part
    place: Location


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

    keep_freed_memory()
    done = 0
    results = ordered_map(fetch, _groups(_wanted(blobs, disk, target)), worker_count())
    with closing(results):  # nothing is written after a failure is reported
        for written in results:
            done += written
            if progress is not None:
                progress(done)


def data_size(blobs: BlobStore, disk: DiskMap) -> int:
    """See ``VaultStore.data_size``."""
    return sum(map(disk.length, open_map(blobs, disk).chunks()))


def read_range(blobs: BlobStore, disk: DiskMap, offset: int, length: int) -> bytes:
    """See ``VaultStore.read_range``."""
    if offset < 0 or length < 0 or offset + length > disk.size:
        raise ValueError(f"{length} bytes from {offset} do not lie within a disk of {disk.size} bytes")
    result = bytearray(length)
    first, end = offset // BLOCK, -(-(offset + length) // BLOCK)
    for part in open_map(blobs, disk).chunks(first, end - first):
        start = part.first * BLOCK
        with _naming(f"Disk offset {start}"):
            chunk = blobs.read(BlobKind.CHUNK, part.id)
            _check_length(disk, part, chunk)
        low, high = max(start, offset), min(start + len(chunk), offset + length)
        result[low - offset : high - offset] = chunk[low - start : high - start]
    return bytes(result)


def _wanted(blobs: BlobStore, disk: DiskMap, target: str) -> Iterator[_Wanted]:
    """Every chunk of the disk that is not zero, sorted by pack within windows of the disk."""

    def located() -> Iterator[_Wanted]:
        with _naming(f"Disk {target}"):
            for part in open_map(blobs, disk).chunks():
                with _naming(f"offset {part.first * BLOCK}"):
                    location = blobs.locate(BlobKind.CHUNK, part.id)
                yield _Wanted(part, location)

    chunks = located()
    while window := list(islice(chunks, _WINDOW)):
        # Packs in the order in which the disk first needs them: the target is written nearly in order.
        first: dict[bytes, int] = {}
        for chunk in window:
            first.setdefault(chunk.place.pack, chunk.part.first)
        yield from sorted(
            window,
            key=lambda chunk: (
                first[chunk.place.pack],
                chunk.place.offset,
                chunk.part.first,
            ),
        )


def _groups(chunks: Iterator[_Wanted]) -> Iterator[list[_Wanted]]:
    """Neighbouring segments of one pack together, as one fetch."""
    group: list[_Wanted] = []
    for chunk in chunks:
        if group:
            begin, last = group[0].place.offset, group[-1].place
            if (
                chunk.place.pack != last.pack
                or not last.offset <= chunk.place.offset <= last.offset + last.length + _GAP
                or (chunk.place.offset != last.offset and _end(chunk.place) - begin > _FETCH)
            ):
                yield group
                group = []
        group.append(chunk)
    if group:
        yield group


def _end(place: Location) -> int:
    return place.offset + place.length


def _fetch(blobs: BlobStore, disk: DiskMap, group: list[_Wanted], write: WriteDisk, target: str) -> int:
    """Fetch, verify and write a group of chunks; gives the bytes written. Runs in a worker thread."""
    begin, end, pack = group[0].place.offset, _end(group[-1].place), group[0].place.pack
    try:
        stored = memoryview(blobs.storage.get_range(pack_name(pack), begin, end - begin))
    except VaultObjectMissing:
        return _fetch_anew(blobs, disk, group, write, target)
    written = 0
    for offset, chunks in groupby(group, key=lambda chunk: chunk.place.offset):
        wanted = list(chunks)
        try:
            with _naming(f"Disk {target}, offset {wanted[0].part.first * BLOCK}"):
                entry = stored[offset - begin : _end(wanted[0].place) - begin]
                segment = blobs.open(BlobKind.CHUNK, pack, offset, entry)
        except VaultObjectMissing:  # gone before its header was read
            written += _fetch_anew(blobs, disk, wanted, write, target)
            continue
        for run in _consecutive(wanted):
            for chunk in run:
                with _naming(f"Disk {target}, offset {chunk.part.first * BLOCK}"):
                    content = segment.blobs(chunk.place.number)
                    blobs.check(BlobKind.CHUNK, chunk.part.id, pack, offset, content)
                    _check_length(disk, chunk.part, content)
            content = segment.blobs(run[0].place.number, len(run))
            write(run[0].part.first * BLOCK, content)
            written += len(content)
    return written


def _fetch_anew(blobs: BlobStore, disk: DiskMap, group: list[_Wanted], write: WriteDisk, target: str) -> int:
    """Fetch chunks one by one whose pack a collection has just replaced."""
    written = 0
    for chunk in group:
        with _naming(f"Disk {target}, offset {chunk.part.first * BLOCK}"):
            content = blobs.read(BlobKind.CHUNK, chunk.part.id)
            _check_length(disk, chunk.part, content)
        write(chunk.part.first * BLOCK, memoryview(content))
        written += len(content)
    return written


def _consecutive(chunks: list[_Wanted]) -> Iterator[list[_Wanted]]:
    """Chunks of one segment in runs that follow each other both there and on the disk."""
    run = chunks[:1]
    for chunk in chunks[1:]:
        last = run[-1]
        if (chunk.part.first, chunk.place.number) != (last.part.end, last.place.number + 1):
            yield run
            run = []
        run.append(chunk)
    yield run


def _check_length(disk: DiskMap, part: Part, chunk: Buffer) -> None:
    expected = disk.length(part)
    if len(chunk) != expected:
        raise VaultDataCorrupt(f"A chunk has {len(chunk)} bytes where the disk has {expected}.")


@contextmanager
def _naming(where: str) -> Iterator[None]:
    """Say in an error of damage which place of the disk it touches."""
    try:
        yield
    except VaultDataCorrupt as error:
        raise type(error)(f"{where}: {error.message}") from error
