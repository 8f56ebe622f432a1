"""Small file systems of their own, in memory, that can be made full and larger."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4


@contextmanager
def small_file_system(directory: Path, mib: int, options: str = "") -> Iterator[Path]:
    """A new directory that is a file system of so many MiB; ``options`` are more of tmpfs."""
    directory.mkdir(mode=0o755)
    mount(directory, f"size={mib}m,mode=755{options and ','}{options}")
    try:
        yield directory
    finally:
        unmount(directory)


def mount(directory: Path, options: str) -> None:
    """Put an empty file system over a directory."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", directory], check=True)


def unmount(directory: Path) -> None:
    """Take it off again, whoever still uses it."""
    subprocess.run(["umount", "--lazy", directory], check=True)


def remount(directory: Path, options: str) -> None:
    """Change a mounted file system: ``size=256m``, ``ro``."""
    subprocess.run(["mount", "-o", f"remount,{options}", directory], check=True)


@contextmanager
def filled(directory: Path, leave: int) -> Iterator[None]:
    """The file system full but for so many bytes."""
    system = os.statvfs(directory)
    filler = directory / f"filler-{uuid4().hex[:6]}"
    size = max(0, system.f_bavail * system.f_frsize - leave)
    subprocess.run(["fallocate", "-l", str(size), filler], check=True)
    try:
        yield
    finally:
        filler.unlink()
