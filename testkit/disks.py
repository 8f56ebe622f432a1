"""Disk images and the truth about them, independent of the program under test.

Images are made, written and read with QEMU's own tools; comparisons work on raw copies.
"""

import json
import os
import random
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

MIB = 1 << 20
PIECE = 64 * 1024


@dataclass(frozen=True)
class DiskSpec:
    """A disk to be made: QEMU format and size in bytes.

    With ``file_system`` it holds an ext4 of the whole disk, filled from the directory ``content`` if given.
    """

    format: str = "qcow2"
    size: int = 64 * MIB
    file_system: bool = True
    content: Path | None = None


def make_disk(path: Path, spec: DiskSpec) -> None:
    """Make the image file of a disk. Raw files are sparse."""
    raw = path if spec.format == "raw" else path.with_name(f"{path.name}.making")
    with raw.open("xb") as file:
        file.truncate(spec.size)
    if spec.file_system:
        make_ext4(raw, content=spec.content)
    if raw != path:
        convert(raw, "raw", path, spec.format)
        raw.unlink()


def make_overlay(path: Path, base: Path) -> None:
    """Make a qcow2 image that reads as the qcow2 image ``base`` until it is written to."""
    command = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", str(base), str(path)]
    subprocess.run(command, check=True)


def make_ext4(raw: Path, content: Path | None = None, offset: int = 0, size: int | None = None) -> None:
    """Make an ext4 file system in a raw file, over the whole of it or over ``size`` bytes from ``offset``.

    All its tables are written now: a guest would otherwise go on writing them in the background and no
    measurement of changed data would be repeatable.
    """
    extended = f"offset={offset},lazy_itable_init=0,lazy_journal_init=0"
    command = ["mke2fs", "-q", "-F", "-t", "ext4", "-E", extended]
    if content is not None:
        command += ["-d", str(content)]
    command.append(str(raw))
    if size is not None:
        command.append(f"{size // 1024}k")
    subprocess.run(command, check=True)


def convert(source: Path, source_format: str, target: Path, target_format: str = "raw") -> None:
    """Copy what a guest would see of an image (with its backing chain) into a new image of its own.

    The source may be in use, so it must be frozen: nobody may write to it meanwhile.
    """
    command = [
        "qemu-img",
        "convert",
        "-U",
        "-f",
        source_format,
        "-O",
        target_format,
        str(source),
        str(target),
    ]
    subprocess.run(command, check=True)


def chain(top: Path) -> list[Path]:
    """Files of a backing chain, top first."""
    command = ["qemu-img", "info", "-U", "--backing-chain", "--output=json", str(top)]
    layers = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return [Path(layer["filename"]) for layer in layers]


def write_image(path: Path, image_format: str, pieces: Iterable[tuple[int, bytes]]) -> None:
    """Write pieces of data (offset, bytes) into the image of a stopped VM, through QEMU's format code."""
    source = path.with_name(f"{path.name}.piece")
    for offset, data in pieces:
        source.write_bytes(data)
        write = f"write -s {source} {offset} {len(data)}"
        subprocess.run(
            ["qemu-io", "-f", image_format, "-c", write, str(path)], check=True, capture_output=True
        )
        source.unlink()


def scattered_offsets(size: int, fraction: float, seed: int, piece: int = PIECE) -> list[int]:
    """Sorted offsets of aligned pieces that together make up ``fraction`` of ``size`` bytes."""
    pieces = size // piece
    chosen = random.Random(seed).sample(range(pieces), max(1, round(pieces * fraction)))
    return [number * piece for number in sorted(chosen)]


def realistic_data(size: int, seed: int) -> bytes:
    """Bytes that compress and repeat like files do: text, random data, zeros and repeated pieces."""
    source = random.Random(seed)
    words = [source.randbytes(source.randint(2, 6)).hex().encode() for _ in range(500)]
    pieces: list[bytes] = []
    while len(pieces) * PIECE < size:
        kind = source.random()
        if kind < 0.4:
            pieces.append(b" ".join(source.choices(words, k=PIECE // 4))[:PIECE])
        elif kind < 0.75 or not pieces:
            pieces.append(source.randbytes(PIECE))
        elif kind < 0.9:
            pieces.append(bytes(PIECE))
        else:
            pieces.append(source.choice(pieces))
    return b"".join(pieces)[:size]


def first_difference(one: Path, other: Path) -> int | None:
    """Offset of the first byte in which two raw files differ, null if they are equal.

    Holes read as zeros and cost nothing where both files have them. A file that ends before the other
    differs there.
    """
    with one.open("rb") as a, other.open("rb") as b:
        for start, end in _with_data(a.fileno(), b.fileno()):
            for position in range(start, end, MIB):
                length = min(MIB, end - position)
                left, right = os.pread(a.fileno(), length, position), os.pread(b.fileno(), length, position)
                if left != right:
                    pairs = enumerate(zip(left, right, strict=False))
                    return position + next((at for at, (x, y) in pairs if x != y), min(len(left), len(right)))
        sizes = (os.fstat(a.fileno()).st_size, os.fstat(b.fileno()).st_size)
    return None if sizes[0] == sizes[1] else min(sizes)


def _with_data(one: int, other: int) -> Iterator[tuple[int, int]]:
    """Ranges in which at least one of two open files has data, in order, within the shorter one."""
    size = min(os.fstat(one).st_size, os.fstat(other).st_size)
    position = 0
    while position < size:
        ranges = [found for found in (_next_data(one, position), _next_data(other, position)) if found]
        if not ranges:
            return
        start = max(position, min(found[0] for found in ranges))
        end = min(size, max(found[1] for found in ranges if found[0] <= start))
        if start >= size:
            return
        yield start, end
        position = end


def _next_data(file: int, position: int) -> tuple[int, int] | None:
    """The next range with data that ends after ``position``."""
    try:
        start = os.lseek(file, position, os.SEEK_DATA)
        return start, os.lseek(file, start, os.SEEK_HOLE)
    except OSError:  # nothing but a hole up to the end
        return None
