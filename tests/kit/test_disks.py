"""The truth about disks: comparisons find every difference, wherever holes lie; patterns are repeatable."""

import json
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from testkit.disks import (
    MIB,
    PIECE,
    DiskSpec,
    chain,
    convert,
    first_difference,
    make_disk,
    realistic_data,
    scattered_offsets,
    write_image,
)

SIZE = 4 * MIB
writes = st.lists(st.tuples(st.integers(0, SIZE - 4096), st.binary(min_size=1, max_size=4096)), max_size=4)


def sparse_file(path: Path, pieces: list[tuple[int, bytes]]) -> bytes:
    content = bytearray(SIZE)
    with path.open("wb") as file:
        file.truncate(SIZE)
        for offset, data in pieces:
            file.seek(offset)
            file.write(data)
            content[offset : offset + len(data)] = data
    return bytes(content)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(one=writes, other=writes)
def test_first_difference_is_that_of_the_whole_content(
    tmp_path: Path, one: list[tuple[int, bytes]], other: list[tuple[int, bytes]]
) -> None:
    a, b = sparse_file(tmp_path / "a", one), sparse_file(tmp_path / "b", other)
    expected = (
        next((at for at, (x, y) in enumerate(zip(a, b, strict=True)) if x != y), None) if a != b else None
    )
    assert first_difference(tmp_path / "a", tmp_path / "b") == expected


def test_a_shorter_file_differs_at_its_end(tmp_path: Path) -> None:
    for name, size in (("a", 5000), ("b", 6000)):
        with (tmp_path / name).open("wb") as file:
            file.truncate(size)
    assert first_difference(tmp_path / "a", tmp_path / "b") == 5000


@pytest.mark.parametrize("image_format", ["raw", "qcow2"])
def test_made_disks_have_format_size_and_file_system(tmp_path: Path, image_format: str) -> None:
    disk = tmp_path / "disk"
    make_disk(disk, DiskSpec(image_format, 32 * MIB))
    info = json.loads(
        subprocess.run(["qemu-img", "info", "--output=json", disk], check=True, capture_output=True).stdout
    )
    assert (info["format"], info["virtual-size"]) == (image_format, 32 * MIB)
    convert(disk, image_format, tmp_path / "flat")
    subprocess.run(["e2fsck", "-f", "-n", tmp_path / "flat"], check=True, capture_output=True)
    assert [path.name for path in tmp_path.iterdir() if "making" in path.name] == []


def test_conversion_of_a_chain_is_what_the_top_shows(tmp_path: Path) -> None:
    base, top, flat = tmp_path / "base.raw", tmp_path / "top.qcow2", tmp_path / "flat"
    data = realistic_data(SIZE, seed=1)
    base.write_bytes(data)
    create = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(base), "-F", "raw", str(top)]
    subprocess.run(create, check=True)
    write_image(top, "qcow2", [(MIB, b"changed")])
    assert chain(top) == [top, base]
    convert(top, "qcow2", flat)
    assert first_difference(flat, base) == MIB
    assert flat.read_bytes() == data[:MIB] + b"changed" + data[MIB + 7 :]


def test_patterns_depend_on_the_seed_alone() -> None:
    assert realistic_data(MIB, seed=1) == realistic_data(MIB, seed=1)
    assert realistic_data(MIB, seed=1) != realistic_data(MIB, seed=2)
    assert len(realistic_data(MIB + 5, seed=3)) == MIB + 5


def test_scattered_offsets_make_up_the_fraction() -> None:
    offsets = scattered_offsets(100 * MIB, 0.01, seed=4)
    assert len(offsets) == len(set(offsets)) == 16
    assert all(offset % PIECE == 0 and offset < 100 * MIB for offset in offsets)
