"""Doing damage to stored objects."""

from collections.abc import Iterable
from pathlib import Path

from overwinter.vault.storage import LocalStorage
from tests.vault.disks import CHUNK

#: Bytes of a segment where the fixture ``small_segments`` is used.
SEGMENT = 4 * CHUNK


def names(directory: Path, prefix: str = "") -> list[str]:
    return [stored.name for stored in LocalStorage(directory).list(prefix)]


def flip(directory: Path, name: str, *positions: int) -> None:
    path = directory / name
    content = bytearray(path.read_bytes())
    for position in positions:
        content[position] ^= 0x10
    path.write_bytes(content)


def cut(directory: Path, name: str, length: int) -> None:
    path = directory / name
    path.write_bytes(path.read_bytes()[:length])


def remove(directory: Path, prefixes: Iterable[str]) -> None:
    for prefix in prefixes:
        for name in names(directory, prefix):
            (directory / name).unlink()
