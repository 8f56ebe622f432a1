"""The image that is backed up: a qcow2 with an ext4 full of real files of this machine.

The files are those of /usr in the order of their names, until the wanted size is reached. Where a machine has
less, they are taken again, with one byte in every 64 KiB changed: they compress like the originals, and no
tool can find them to be the same.
"""

import json
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import zstandard

from bench.measure import BenchError
from testkit.disks import MIB, convert, make_ext4

SOURCE = Path("/usr")

#: The virtual disk's size in relation to the files on it.
_ROOM = 1.9

#: Distance of the changed bytes when the files are taken again.
_EDIT_EVERY = 64 * 1024

#: How many pieces of 1 MiB are compressed to tell what the data is like.
_SAMPLES = 256


@dataclass(frozen=True)
class Image:
    """A finished image; sizes in bytes.

    ``file_bytes`` of files were put on it, ``edited_bytes`` of them files taken again; ``data`` are the
    ranges (offset, length) that hold something, ``zstd1_ratio`` is compressed by plain size of a sample.
    """

    path: Path
    virtual_size: int
    files: int
    file_bytes: int
    edited_bytes: int
    data: tuple[tuple[int, int], ...]
    zstd1_ratio: float

    @property
    def data_bytes(self) -> int:
        """What a backup must look at."""
        return sum(length for _, length in self.data)


def make_image(directory: Path, size: int) -> Image:
    """Make ``image.qcow2`` in ``directory`` with files of ``size`` bytes in all, at least."""
    staging = directory / "files"
    files, file_bytes, edited_bytes = stage_files(staging, size)
    raw, path = fill_image(directory, "image", staging, size)
    shutil.rmtree(staging)
    data = tuple(_data(path))
    ratio = _compressibility(raw, data)
    virtual_size = raw.stat().st_size
    raw.unlink()
    return Image(path, virtual_size, files, file_bytes, edited_bytes, data, ratio)


def fill_image(directory: Path, name: str, staging: Path, size: int) -> tuple[Path, Path]:
    """Make an ext4 of staged files of ``size`` bytes, as a raw image and as qcow2."""
    raw, path = directory / f"{name}.raw", directory / f"{name}.qcow2"
    with raw.open("xb") as file:
        file.truncate(max(64, round(size * _ROOM) // MIB) * MIB)
    make_ext4(raw, content=staging)
    convert(raw, "raw", path, "qcow2")
    return raw, path


def warm(path: Path) -> None:
    """Read a file once, so that every tool finds it in the page cache."""
    buffer = bytearray(4 * MIB)
    with path.open("rb", buffering=0) as file:
        while file.readinto(buffer):
            pass


def stage_files(staging: Path, size: int) -> tuple[int, int, int]:
    """Copy files until there are ``size`` bytes; gives their number, their bytes, and those taken again.

    Raises ``BenchError`` when the machine has none.
    """
    files = copied = edited = 0
    for turn in count():
        before = copied
        for file in _regular_files(SOURCE):
            target = staging / str(turn) / file.relative_to(SOURCE)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
            if turn:
                _edit(target, turn)
            files, copied = files + 1, copied + target.stat().st_size
            if copied >= size:
                return files, copied, edited + (copied - before if turn else 0)
        edited += copied - before if turn else 0
        if copied == before:
            raise BenchError(f"{SOURCE} holds no files that could be put on the image.")
    raise AssertionError("unreachable")


def _regular_files(root: Path) -> Iterator[Path]:
    for directory, directories, names in os.walk(root):
        directories.sort()
        for name in sorted(names):
            path = Path(directory, name)
            if stat.S_ISREG(path.lstat().st_mode) and os.access(path, os.R_OK):
                yield path


def _edit(path: Path, turn: int) -> None:
    with path.open("r+b") as file:
        content = bytearray(file.read())
        content[::_EDIT_EVERY] = bytes((byte + turn) % 256 for byte in content[::_EDIT_EVERY])
        file.seek(0)
        file.write(content)


def _data(path: Path) -> Iterator[tuple[int, int]]:
    command = ["qemu-img", "map", "-f", "qcow2", "--output=json", str(path)]
    for run in json.loads(subprocess.run(command, check=True, capture_output=True).stdout):
        if run["data"] and not run["zero"]:
            yield run["start"], run["length"]


def _compressibility(raw: Path, data: tuple[tuple[int, int], ...]) -> float:
    """Size after zstd -1 by size before, of pieces of 1 MiB spread evenly over the data."""
    places = [start for offset, length in data for start in range(offset, offset + length, MIB)]
    compressor = zstandard.ZstdCompressor(level=1)
    plain = compressed = 0
    with raw.open("rb") as file:
        for place in places[:: max(1, len(places) // _SAMPLES)]:
            file.seek(place)
            piece = file.read(MIB)
            plain, compressed = plain + len(piece), compressed + len(compressor.compress(piece))
    return round(compressed / plain, 3)
