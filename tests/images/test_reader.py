"""Frozen disks: every byte is right, every change is found, little else is, and nothing outlives us."""

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overwinter.images import hostmap, mapped
from overwinter.images.chain import read_chain
from overwinter.images.frozen import FrozenDisk
from overwinter.images.hostmap import WINDOW
from overwinter.images.mapped import MAP_AFTER, MappedDisk
from overwinter.images.reader import open_frozen
from overwinter.images.served import ServedDisk, merge_runs
from overwinter.model.errors import ChainUnexpected, ImageError
from overwinter.model.extent import Extent
from overwinter.model.vm import ImageLayer

from .disks import (
    CLUSTER,
    KIB,
    MIB,
    TIB,
    Change,
    LayerPlan,
    build,
    change,
    layer_plans,
    machine_writing_to,
    make_base,
    make_overlay,
    read,
    run,
)


def check_order(extents: Sequence[Extent], size: int) -> None:
    position = 0
    for extent in extents:
        assert extent.offset >= position and extent.length > 0
        position = extent.end
    assert position <= size


def covered(extents: Sequence[Extent], size: int) -> bytearray:
    marks = bytearray(size)
    for extent in extents:
        marks[extent.offset : extent.end] = b"\x01" * extent.length
    return marks


def allowed(plans: Sequence[LayerPlan], depth: int, size: int) -> bytearray:
    """Bytes that an increment of the upper ``depth`` layers may cover: touched clusters, and what grew."""
    marks = bytearray(size)
    for plan in plans[-depth:]:
        for each in plan.changes:
            start = each.offset // CLUSTER * CLUSTER
            end = min(size, -(-(each.offset + each.length) // CLUSTER) * CLUSTER)
            marks[start:end] = b"\x01" * (end - start)
    shortest = min(plan.size for plan in plans[-depth - 1 :]) // CLUSTER * CLUSTER
    marks[shortest:] = b"\x01" * max(0, size - shortest)
    return marks


def open_mapped_at_once(chain: Sequence[ImageLayer]) -> FrozenDisk:
    return MappedDisk(chain, map_after=0)


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(["raw", "qcow2"]),
    st.lists(layer_plans(), min_size=1, max_size=5),
    st.sampled_from([open_frozen, ServedDisk, open_mapped_at_once]),
)
def test_reads_and_increments_against_a_model(
    base: str, plans: list[LayerPlan], opener: Callable[[Sequence[ImageLayer]], FrozenDisk]
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        chain, views = build(Path(directory), base, plans)
        assert read_chain(chain[0].path, chain[0].format) == chain
        truth, size = views[0], len(views[0])
        with opener(chain) as disk:
            assert disk.size == size
            assert read(disk, 0, size) == truth

            data = list(disk.extents(None))
            check_order(data, size)
            assert not any(extent.zero for extent in data)
            rebuilt = bytearray(size)
            for extent in data:
                rebuilt[extent.offset : extent.end] = read(disk, extent.offset, extent.length)
            assert rebuilt == truth

            for depth in range(1, len(chain) + 1):
                changed = list(disk.extents(depth))
                check_order(changed, size)
                for extent in changed:
                    assert not extent.zero or not any(truth[extent.offset : extent.end])
                if depth == len(chain):
                    continue
                below = views[depth][:size] + bytes(max(0, size - len(views[depth])))
                marks = covered(changed, size)
                assert all(marks[at] for at in range(size) if truth[at] != below[at])
                limits = allowed(plans, depth, size)
                assert not any(marks[at] and not limits[at] for at in range(0, size, 512))


def test_what_each_depth_means(tmp_path: Path) -> None:
    """Base with data; an overlay that writes, zeroes and discards; a larger one on top that writes once."""
    base = make_base(tmp_path / "base", "raw", 16 * CLUSTER)
    change(base, Change("write", 0, 16 * CLUSTER, 1))
    middle = make_overlay(tmp_path / "middle", base)
    change(
        middle,
        Change("write", 2 * CLUSTER, CLUSTER, 2),
        Change("zero", 4 * CLUSTER, CLUSTER),
        Change("discard", 6 * CLUSTER, CLUSTER),
    )
    top = make_overlay(tmp_path / "top", middle, 20 * CLUSTER)
    change(top, Change("write", 8 * CLUSTER, CLUSTER, 3))
    with open_frozen((top, middle, base)) as disk:
        assert list(disk.extents(1)) == [Extent(8 * CLUSTER, CLUSTER)]
        assert list(disk.extents(2)) == [
            Extent(2 * CLUSTER, CLUSTER),
            Extent(4 * CLUSTER, CLUSTER, zero=True),
            Extent(6 * CLUSTER, CLUSTER, zero=True),
            Extent(8 * CLUSTER, CLUSTER),
            Extent(16 * CLUSTER, 4 * CLUSTER, zero=True),  # behind the end of middle: nobody's, hence zeros
        ]
        whole = list(disk.extents(3))
        assert (whole[0].offset, whole[-1].end) == (0, 20 * CLUSTER)
        for wrong in (0, 4):
            with pytest.raises(ValueError):
                next(disk.extents(wrong))


def test_data_below_a_shrunk_layer_does_not_shine_through(tmp_path: Path) -> None:
    base = make_base(tmp_path / "base", "raw", 8 * CLUSTER)
    change(base, Change("write", 0, 8 * CLUSTER, 1))
    short = make_overlay(tmp_path / "short", base, 4 * CLUSTER)
    top = make_overlay(tmp_path / "top", short, 8 * CLUSTER)
    with open_frozen((top, short, base)) as disk:
        assert read(disk, 0, 8 * CLUSTER) == b"\x01" * 4 * CLUSTER + bytes(4 * CLUSTER)
        assert list(disk.extents(2)) == [Extent(4 * CLUSTER, 4 * CLUSTER, zero=True)]
        assert list(disk.extents(None)) == [Extent(0, 4 * CLUSTER)]


@pytest.mark.parametrize("layer_format", ["raw", "qcow2"])
@pytest.mark.parametrize("depth", [None, 1])
def test_six_tebibytes_of_nothing_take_seconds(tmp_path: Path, layer_format: str, depth: int | None) -> None:
    layer = make_base(tmp_path / "huge", layer_format, 6 * TIB)
    change(layer, Change("write", 5 * TIB, CLUSTER, 9))
    start = time.monotonic()
    with open_frozen((layer,)) as disk:
        extents = list(disk.extents(depth))
    assert time.monotonic() - start < 10
    assert [extent for extent in extents if not extent.zero] == [Extent(5 * TIB, CLUSTER)]


def test_extents_come_while_the_disk_is_still_being_looked_at(tmp_path: Path) -> None:
    layer = make_base(tmp_path / "disk", "qcow2", 6 * TIB)
    change(layer, Change("write", 0, CLUSTER, 1))
    with open_frozen((layer,)) as disk:
        start = time.monotonic()
        next(disk.extents(None))
        assert time.monotonic() - start < 0.3


def test_last_sector_of_an_odd_raw_file(tmp_path: Path) -> None:
    path = tmp_path / "odd"
    path.write_bytes(b"x" * 1000)
    alone = ImageLayer(str(path), "raw")
    top = make_overlay(tmp_path / "top", alone)
    for chain in [(alone,), (top, alone)]:
        with open_frozen(chain) as disk:
            assert disk.size == 1024
            assert read(disk, 0, 1024) == b"x" * 1000 + bytes(24)
            assert sum(extent.length for extent in disk.extents(None)) >= 1000


@pytest.mark.parametrize("opener", [open_frozen, ServedDisk, open_mapped_at_once])
def test_block_device_as_base(
    tmp_path: Path, device: str, opener: Callable[[Sequence[ImageLayer]], FrozenDisk]
) -> None:
    base = ImageLayer(device, "raw")
    change(base, Change("write", CLUSTER, CLUSTER, 1))
    top = make_overlay(tmp_path / "top", base)
    change(top, Change("write", 0, CLUSTER, 2))
    with opener((top, base)) as disk:
        assert read(disk, 0, MIB) == b"\x02" * CLUSTER + b"\x01" * CLUSTER + bytes(MIB - 2 * CLUSTER)
        assert list(disk.extents(1)) == [Extent(0, CLUSTER)]
    with open_frozen((base,)) as disk:
        assert disk.size == MIB
        assert read(disk, 0, 2 * CLUSTER) == bytes(CLUSTER) + b"\x01" * CLUSTER
        assert sum(extent.length for extent in disk.extents(1)) == MIB


def test_a_chain_that_the_headers_do_not_tell_of_is_refused(tmp_path: Path) -> None:
    base = make_base(tmp_path / "base", "raw", MIB)
    middle = make_overlay(tmp_path / "middle", base)
    top = make_overlay(tmp_path / "top", middle)
    other = make_base(tmp_path / "other", "raw", MIB)
    for chain in [
        (top, base),
        (top, middle),
        (top, middle, other),
        (top, middle, ImageLayer(base.path, "qcow2")),
    ]:
        with pytest.raises(ChainUnexpected, match="not the expected one"):
            open_frozen(chain)


def test_encrypted_image_is_refused_with_words(tmp_path: Path) -> None:
    path = str(tmp_path / "secret")
    run(
        *("qemu-img", "create", "-q", "-f", "qcow2", "--object", "secret,id=s,data=abc"),
        *("-o", "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10", path, "1M"),
    )
    with pytest.raises(ImageError, match=r"secret cannot be opened: .*key-secret"):
        open_frozen(read_chain(path, "qcow2"))


@given(
    st.lists(st.tuples(st.integers(1, 50), st.sampled_from([0, 2, 3])), min_size=1),
    st.lists(st.tuples(st.integers(1, 50), st.integers(0, 3)), min_size=1),
)
def test_contexts_are_merged_as_far_as_both_go(
    allocation: list[tuple[int, int]], depths: list[tuple[int, int]]
) -> None:
    merged = list(merge_runs([n for run in allocation for n in run], [n for run in depths for n in run]))
    zeros = [bool(state & 2) for length, state in allocation for _ in range(length)]
    layers = [state for length, state in depths for _ in range(length)]
    expected = list(zip(zeros, layers, strict=False))
    assert [(zero, layer) for length, zero, layer in merged for _ in range(length)] == expected


def test_compressed_and_plain_clusters_mixed(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    truth = b"abcdefgh" * (MIB // 8) + os.urandom(MIB) + bytes(MIB) + b"abcdefgh" * (MIB // 8)
    plain.write_bytes(truth)
    packed = ImageLayer(str(tmp_path / "packed"), "qcow2")
    run("qemu-img", "convert", "-c", "-f", "raw", "-O", "qcow2", str(plain), packed.path)
    top = make_overlay(tmp_path / "top", packed)
    change(top, Change("write", MIB // 2, CLUSTER, 1))
    truth = truth[: MIB // 2] + b"\x01" * CLUSTER + truth[MIB // 2 + CLUSTER :]
    with open_mapped_at_once((top, packed)) as disk:
        assert read(disk, 0, disk.size) == truth
        for offset in range(0, disk.size - 100_001, 77_777):
            assert read(disk, offset, 100_001) == truth[offset : offset + 100_001]


def test_reading_across_the_windows_of_the_map(tmp_path: Path) -> None:
    layer = make_base(tmp_path / "disk", "qcow2", 12 * WINDOW + MIB)
    for number in range(1, 13):
        change(layer, Change("write", number * WINDOW - CLUSTER, 2 * CLUSTER, number))
    with open_mapped_at_once((layer,)) as disk:
        for number in [*range(1, 13), 1, 12]:
            truth = bytes(CLUSTER) + bytes([number]) * 2 * CLUSTER + bytes(CLUSTER)
            assert read(disk, number * WINDOW - 2 * CLUSTER, 4 * CLUSTER) == truth


def test_a_window_in_crumbs_is_left_to_qemu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = make_base(tmp_path / "disk", "qcow2", MIB)
    change(layer, Change("write", 0, CLUSTER, 1), Change("write", 3 * CLUSTER, CLUSTER, 2))
    monkeypatch.setattr(hostmap, "LONGEST_ANSWER", 10)
    with open_mapped_at_once((layer,)) as disk:
        assert read(disk, 0, 4 * CLUSTER) == b"\x01" * CLUSTER + bytes(2 * CLUSTER) + b"\x02" * CLUSTER


def test_only_bulk_reads_ask_for_the_map(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    real = mapped.MapWindow
    monkeypatch.setattr(mapped, "MapWindow", lambda *arguments: asked.append(1) or real(*arguments))
    layer = make_base(tmp_path / "disk", "qcow2", 2 * MAP_AFTER)
    with open_frozen((layer,)) as disk:
        read(disk, 0, MAP_AFTER - 1)
        assert not asked
        read(disk, 0, 1)
        read(disk, 0, MAP_AFTER)
        assert len(asked) == 1


def test_many_threads_read_at_once(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    truth = os.urandom(16 * MIB)
    plain.write_bytes(truth)
    run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(plain), str(tmp_path / "q"))
    wrong: list[int] = []
    with open_frozen((ImageLayer(str(tmp_path / "q"), "qcow2"),)) as disk:

        def work(first: int) -> None:
            for offset in range(first * 300_000, len(truth), 8 * 300_000):
                length = min(300_000, len(truth) - offset)
                if read(disk, offset, length) != truth[offset : offset + length]:
                    wrong.append(offset)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not wrong


def frozen_pair(tmp_path: Path, base_format: str) -> tuple[ImageLayer, ImageLayer]:
    base = make_base(tmp_path / "base", base_format, 4 * MIB)
    change(base, Change("write", 0, MIB, 5))
    return base, make_overlay(tmp_path / "top", base)


@pytest.mark.parametrize("base_format", ["raw", "qcow2"])
def test_frozen_layers_below_a_running_machine(tmp_path: Path, base_format: str) -> None:
    base, top = frozen_pair(tmp_path, base_format)
    with machine_writing_to(top), open_frozen((base,)) as disk:
        assert list(disk.extents(None)) == [Extent(0, MIB)]
        assert read(disk, 0, MIB) == b"\x05" * MIB


@pytest.mark.parametrize("base_format", ["raw", "qcow2"])
def test_a_layer_that_is_written_to_is_not_frozen(tmp_path: Path, base_format: str) -> None:
    base, _ = frozen_pair(tmp_path, base_format)
    with machine_writing_to(base), pytest.raises(ImageError, match="base"):
        open_frozen((base,))


@pytest.mark.parametrize("base_format", ["raw", "qcow2"])
def test_nobody_writes_to_a_layer_while_it_is_read(tmp_path: Path, base_format: str) -> None:
    base, _ = frozen_pair(tmp_path, base_format)
    with open_frozen((base,)), open_frozen((base,)), pytest.raises(subprocess.CalledProcessError):
        change(base, Change("write", 0, CLUSTER, 6))
    change(base, Change("write", 0, CLUSTER, 6))


@pytest.mark.parametrize("base_format", ["raw", "qcow2"])
def test_a_failed_read_names_file_and_offset(tmp_path: Path, base_format: str) -> None:
    base, _ = frozen_pair(tmp_path, base_format)
    with open_frozen((base,)) as disk:
        list(disk.extents(None))
        if base_format == "raw":
            os.truncate(base.path, 512 * KIB)
            with pytest.raises(ImageError, match=rf"{base.path} at offset {512 * KIB}"):
                read(disk, 0, MIB)
        with pytest.raises(ImageError, match=rf"{base.path} at offset {disk.size}"):
            read(disk, disk.size, CLUSTER)
