"""New images: right bytes, holes where nothing was written, nothing overwritten, nothing half open."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overwinter.images.chain import read_layer
from overwinter.images.writer import create_image, open_writer
from overwinter.model.errors import AlreadyExists, ImageError
from overwinter.model.vm import ImageLayer
from tests.images.compare import same_content

from .disks import CLUSTER, GIB, MIB, TIB, servers_of

FORMATS = pytest.mark.parametrize("image_format", ["raw", "qcow2"])


@FORMATS
def test_sparse(tmp_path: Path, image_format: str) -> None:
    path = tmp_path / "disk"
    layer = create_image(str(path), image_format, 2 * TIB)
    with open_writer(layer.path, layer.format) as writer:
        writer.write(TIB, b"\x07" * MIB)
        writer.finish()
    assert read_layer(layer).size == 2 * TIB
    assert path.stat().st_blocks * 512 < 4 * MIB
    assert path.stat().st_mode & 0o077 == 0


def test_cluster_size(tmp_path: Path) -> None:
    layer = create_image(str(tmp_path / "disk"), "qcow2", MIB, cluster_size=1 << 21)
    assert read_layer(layer).cluster_size == 1 << 21


@FORMATS
def test_existing_targets_are_not_touched(tmp_path: Path, image_format: str) -> None:
    path = tmp_path / "disk"
    path.write_bytes(b"precious")
    with pytest.raises(AlreadyExists, match=str(path)):
        create_image(str(path), image_format, MIB)
    assert path.read_bytes() == b"precious"


@FORMATS
def test_what_cannot_be_made_leaves_nothing(tmp_path: Path, image_format: str) -> None:
    with pytest.raises(ImageError):
        create_image(str(tmp_path / "disk"), image_format, 1 << 62)
    with pytest.raises(ImageError, match="cannot be created"):
        create_image(str(tmp_path / "no" / "disk"), image_format, MIB)
    assert not list(tmp_path.iterdir())


@FORMATS
@settings(max_examples=15, deadline=None)
@given(pieces=st.lists(st.tuples(st.integers(0, MIB - 1), st.binary(min_size=1, max_size=5000)), max_size=12))
def test_bytes_arrive(
    tmp_path_factory: pytest.TempPathFactory, image_format: str, pieces: list[tuple[int, bytes]]
) -> None:
    directory = tmp_path_factory.mktemp("written")
    truth = bytearray(MIB)
    layer = create_image(str(directory / "disk"), image_format, MIB)
    with open_writer(layer.path, layer.format) as writer:
        for offset, data in pieces:
            piece = data[: MIB - offset]
            truth[offset : offset + len(piece)] = piece
            writer.write(offset, piece)
        writer.finish()
    (directory / "truth").write_bytes(truth)
    assert same_content([layer], [ImageLayer(str(directory / "truth"), "raw")], timeout=60)


@FORMATS
def test_many_threads(tmp_path: Path, image_format: str) -> None:
    truth = os.urandom(16 * MIB)
    (tmp_path / "truth").write_bytes(truth)
    layer = create_image(str(tmp_path / "disk"), image_format, len(truth))
    with open_writer(layer.path, layer.format) as writer:

        def work(first: int) -> None:
            for offset in range(first * 200_000, len(truth), 8 * 200_000):
                writer.write(offset, memoryview(truth)[offset : offset + 200_000])

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        writer.finish()
    assert same_content([layer], [ImageLayer(str(tmp_path / "truth"), "raw")], timeout=60)


@FORMATS
def test_writing_behind_the_end_is_refused(tmp_path: Path, image_format: str) -> None:
    layer = create_image(str(tmp_path / "disk"), image_format, MIB)
    with open_writer(layer.path, layer.format) as writer, pytest.raises(ImageError, match="disk"):
        writer.write(MIB - 1, b"ab")
    assert read_layer(layer).size == MIB


@FORMATS
def test_abandoned_writer_holds_nothing_and_work_can_go_on(tmp_path: Path, image_format: str) -> None:
    layer = create_image(str(tmp_path / "disk"), image_format, MIB)
    with pytest.raises(KeyError), open_writer(layer.path, layer.format) as writer:
        writer.write(0, b"a" * CLUSTER)
        raise KeyError
    assert not servers_of(layer.path)
    with pytest.raises(ImageError, match="closed"):
        writer.write(0, b"a")
    with open_writer(layer.path, layer.format) as writer:
        writer.write(0, b"b" * CLUSTER)
        writer.finish()
        with pytest.raises(ImageError, match="closed"):
            writer.finish()
    (tmp_path / "truth").write_bytes(b"b" * CLUSTER)
    assert same_content([layer], [ImageLayer(str(tmp_path / "truth"), "raw")], timeout=60)


@FORMATS
def test_full_file_system_is_an_error(tmp_path: Path, image_format: str) -> None:
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("no right to mount here")
    try:
        layer = create_image(str(place / "disk"), image_format, GIB)
        with (
            open_writer(layer.path, layer.format) as writer,
            pytest.raises(ImageError, match="No space left"),
        ):
            for offset in range(0, 16 * MIB, MIB):
                writer.write(offset, os.urandom(MIB))
            writer.finish()
    finally:
        subprocess.run(["umount", str(place)], check=True)


@FORMATS
def test_written_data_is_let_go(tmp_path: Path, image_format: str) -> None:
    layer = create_image(str(tmp_path / "disk"), image_format, MIB)
    data = os.urandom(4096)
    with open_writer(layer.path, layer.format) as writer:
        before = sys.getrefcount(data)
        writer.write(0, data)
        assert sys.getrefcount(data) == before
        writer.finish()
