"""Things that tests of images share."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from .disks import MIB


@pytest.fixture
def device(tmp_path: Path) -> Iterator[str]:
    """A block device of 1 MiB."""
    (tmp_path / "file").write_bytes(bytes(MIB))
    try:
        name = subprocess.run(
            ["losetup", "--find", "--show", str(tmp_path / "file")],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
    except (subprocess.CalledProcessError, FileNotFoundError):
        pytest.skip("no loop devices here")
    yield name
    subprocess.run(["losetup", "--detach", name], check=True)
