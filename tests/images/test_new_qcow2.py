"""Images laid out by us: QEMU finds them whole, without a leak, whatever the clusters or order of writes."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overwinter.images import new_qcow2
from overwinter.images.writer import create_image, open_writer
from overwinter.model.errors import ImageError
from overwinter.model.vm import ImageLayer
from tests.images.compare import same_content

from .disks import GIB, MIB, TIB

KIB = 1024


def check(path: Path) -> None:
    """QEMU's own check: no error, and no cluster that is counted but not used."""
    subprocess.run(["qemu-img", "check", "-f", "qcow2", str(path)], check=True, capture_output=True)


@settings(max_examples=30, deadline=None)
@given(
    cluster_bits=st.integers(9, 21),
    sectors=st.integers(1, 40_000),
    pieces=st.lists(st.tuples(st.integers(0, 20 << 20), st.integers(1, 3 * MIB)), max_size=8),
    tables=st.integers(0, 4),
)
def test_any_image_is_whole(
    tmp_path_factory: pytest.TempPathFactory,
    cluster_bits: int,
    sectors: int,
    pieces: list[tuple[int, int]],
    tables: int,
) -> None:
    directory = tmp_path_factory.mktemp("qcow2")
    path, size = directory / "disk", sectors * 512
    truth = bytearray(size)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(new_qcow2, "_TABLES_MEMORY", tables << cluster_bits)
        create_image(str(path), "qcow2", size, 1 << cluster_bits)
        with open_writer(str(path), "qcow2") as writer:
            for number, (offset, length) in enumerate(pieces):
                data = os.urandom(4 * KIB) * (length // (4 * KIB) + 1)
                data = data[: min(length, max(0, size - offset))]
                if number % 2:
                    data = bytes(len(data))
                truth[offset : offset + len(data)] = data
                writer.write(min(offset, size), data)
            writer.finish()
    check(path)
    (directory / "truth").write_bytes(truth)
    assert same_content(
        [ImageLayer(str(path), "qcow2")], [ImageLayer(str(directory / "truth"), "raw")], timeout=60
    )


@pytest.mark.parametrize("cluster_size", [64 * KIB, 2 * MIB])
def test_a_large_disk_stays_sparse_and_every_table_is_used(tmp_path: Path, cluster_size: int) -> None:
    path = tmp_path / "disk"
    create_image(str(path), "qcow2", 4 * TIB, cluster_size)
    offsets = [number * 7 * GIB + number * 4 * KIB for number in range(580)]
    with open_writer(str(path), "qcow2") as writer:
        for turn in range(2):  # the second turn finds tables that were put away
            for number, offset in enumerate(offsets):
                writer.write(offset + turn * 8 * KIB, bytes([number % 255 + 1]) * 4 * KIB)
        writer.finish()
    check(path)
    assert path.stat().st_blocks * 512 < 1300 * MIB
    for number in (0, 77, 579):
        pattern = f"read -P {number % 255 + 1} {offsets[number] + 8 * KIB} 4k"
        answer = subprocess.run(
            ["qemu-io", "-r", "-f", "qcow2", "-c", pattern, str(path)], check=True, capture_output=True
        )
        assert b"verification failed" not in answer.stdout
    found = json.loads(
        subprocess.run(
            ["qemu-img", "map", "-f", "qcow2", "--output=json", str(path)], check=True, capture_output=True
        ).stdout
    )
    assert sum(run["length"] for run in found if run["data"] and not run["zero"]) <= 580 * 2 * cluster_size


def test_until_it_is_finished_the_image_is_valid_and_empty(tmp_path: Path) -> None:
    path = tmp_path / "disk"
    create_image(str(path), "qcow2", 64 * MIB)
    with open_writer(str(path), "qcow2") as writer:
        writer.write(3 * MIB, b"x" * MIB)
    check(path)
    with open_writer(str(path), "qcow2") as writer:  # what the first attempt wrote is not seen again
        writer.write(3 * MIB + 1000, b"y")
        writer.finish()
    check(path)
    truth = bytearray(64 * MIB)
    truth[3 * MIB + 1000] = ord("y")
    (tmp_path / "truth").write_bytes(truth)
    layers = [ImageLayer(str(path), "qcow2")], [ImageLayer(str(tmp_path / "truth"), "raw")]
    assert same_content(*layers, timeout=60)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["-o", "compat=0.10"], "features"),
        (["-o", "extended_l2=on"], "features"),
        (["-o", "preallocation=metadata"], "not empty"),
        (["-o", "refcount_bits=1"], "features"),
    ],
)
def test_other_images_are_not_touched(tmp_path: Path, options: list[str], words: str) -> None:
    path = tmp_path / "disk"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *options, str(path), "8M"], check=True)
    before = path.read_bytes()
    with pytest.raises(ImageError, match=words):
        open_writer(str(path), "qcow2")
    assert path.read_bytes() == before


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "disk"
    path.write_bytes(b"something else")
    with pytest.raises(ImageError, match="no qcow2"):
        open_writer(str(path), "qcow2")
    assert path.read_bytes() == b"something else"
