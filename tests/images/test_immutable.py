"""The immutable flag: who sets it, who may clear it, and what happens where there is none."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from overwinter.images.immutable import Reader, is_protected, protect, release

QEMU = Reader(64055, 64055)


@pytest.fixture
def file(image_directory: Path) -> Iterator[Path]:
    path = image_directory / "layer"
    path.write_bytes(b"frozen")
    path.chmod(0o600)
    yield path
    subprocess.run(["chattr", "-i", path], check=False, capture_output=True)


def test_a_protected_file_stands_still(file: Path) -> None:
    assert not is_protected(str(file))
    assert protect(str(file), QEMU) and protect(str(file), QEMU)
    assert is_protected(str(file))
    for harm in (
        lambda: file.write_bytes(b"other"),
        file.unlink,
        lambda: file.rename(file.with_suffix(".moved")),
        lambda: os.truncate(file, 0),
        lambda: os.link(file, file.with_suffix(".link")),
    ):
        with pytest.raises(PermissionError):
            harm()
    assert file.read_bytes() == b"frozen"
    release(str(file))
    release(str(file))
    assert not is_protected(str(file))
    assert os.listxattr(file) == [], "no trace is left"
    file.unlink()


@pytest.mark.parametrize(
    ("mode", "owner", "given"),
    [
        (0o600, (0, 0), True),
        (0o604, (0, 0), False),
        (0o640, (0, QEMU.gid), False),
        (0o600, (0, QEMU.gid), True),
        (0o600, (QEMU.uid, 0), False),
    ],
)
def test_qemu_can_read_it_before_nobody_can_change_that(
    file: Path, mode: int, owner: tuple[int, int], given: bool
) -> None:
    file.chmod(mode)
    os.chown(file, *owner)
    assert protect(str(file), QEMU)
    status = file.stat()
    assert (status.st_uid, status.st_gid) == ((QEMU.uid, QEMU.gid) if given else owner)
    assert status.st_mode & 0o777 == mode


def test_the_flag_of_somebody_else_is_theirs(file: Path) -> None:
    subprocess.run(["chattr", "+i", file], check=True)
    assert not protect(str(file), QEMU)
    assert not is_protected(str(file))
    release(str(file))
    with pytest.raises(PermissionError):
        file.unlink()


def test_a_crash_between_mark_and_flag(file: Path) -> None:
    os.setxattr(file, "trusted.overwinter.locked", b"1")
    assert not is_protected(str(file))
    assert protect(str(file), QEMU) and is_protected(str(file))
    subprocess.run(["chattr", "-i", file], check=True)
    release(str(file))
    assert os.listxattr(file) == []


def test_what_cannot_be_protected_stays_as_it_is(image_directory: Path) -> None:
    missing, link = image_directory / "missing", image_directory / "link"
    link.symlink_to("/etc/hostname")
    for path in (missing, link, image_directory, Path("/proc/version"), Path("/dev/null")):
        assert not protect(str(path), QEMU), path
        assert not is_protected(str(path))
        release(str(path))
