"""An identity is equal only as long as nobody touched the image."""

import os
import shutil
import time
from pathlib import Path

import pytest

from overwinter.images.identity import TICK_NS, LayerIdentity, identify
from overwinter.images.reader import open_frozen
from overwinter.model.errors import ImageError

from .disks import CLUSTER, MIB, Change, change, machine_writing_to, make_base, make_overlay


def test_untouched_stays_equal_and_survives_the_catalog(tmp_path: Path) -> None:
    base = make_base(tmp_path / "base", "qcow2", MIB)
    before = identify(base.path)
    top = make_overlay(tmp_path / "top", base)
    with machine_writing_to(top):
        pass
    change(top, Change("write", 0, CLUSTER, 1))
    with open_frozen((base,)) as disk:
        list(disk.extents(None))
    Path(base.path).chmod(0o600)
    assert identify(base.path) == before
    assert LayerIdentity.from_json(before.to_json()) == before


@pytest.mark.parametrize(
    "act",
    [
        lambda path: path.write_bytes(path.read_bytes()),
        lambda path: os.truncate(path, MIB // 2),
        lambda path: Path(shutil.copy2(path, f"{path}.copy")).replace(path),
        lambda path: path.open("r+b").write(b"x") and None,
    ],
    ids=["rewritten", "truncated", "replaced by a copy with its times", "one byte"],
)
def test_touched_differs(tmp_path: Path, act: object) -> None:
    path = tmp_path / "disk"
    path.write_bytes(os.urandom(MIB))
    before = identify(str(path))
    act(path)  # type: ignore[operator]
    assert identify(str(path)) != before


def test_a_write_right_after_identification_is_seen(tmp_path: Path) -> None:
    """Within one tick of the kernel's clock two writes may get the same time: identify sits it out."""
    path = tmp_path / "disk"
    path.write_bytes(b"a" * 512)
    before = identify(str(path))
    assert time.time_ns() - before.mtime_ns >= TICK_NS
    path.write_bytes(b"b" * 512)
    assert identify(str(path)) != before


def test_missing_and_odd_files(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="No such file"):
        identify(str(tmp_path / "none"))
    with pytest.raises(ImageError, match="neither"):
        identify(str(tmp_path))


def test_block_device(device: str) -> None:
    before = identify(device)
    assert before.size == MIB
    assert identify(device) == before
    time_before = Path(device).stat().st_mtime_ns
    with Path(device).open("r+b") as file:
        file.write(b"changed")
    os.utime(device, ns=(time.time_ns(), time_before))
    assert identify(device) != before
