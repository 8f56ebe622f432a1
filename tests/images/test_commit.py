"""Merging layers offline keeps every byte, at every moment, through kills and repeats."""

import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overwinter.images import commit
from overwinter.images.chain import read_chain
from overwinter.images.commit import merge_down
from overwinter.images.identity import identify
from overwinter.images.reader import open_frozen
from overwinter.model.errors import ChainUnexpected, ImageError, JobCancelled
from overwinter.model.vm import ImageLayer
from tests.images.compare import same_content

from .disks import (
    CLUSTER,
    MIB,
    Change,
    LayerPlan,
    build,
    change,
    layer_plans,
    machine_writing_to,
    make_base,
    make_overlay,
    run,
    wait_until,
)

TIMEOUT = 60.0


def content(chain: tuple[ImageLayer, ...]) -> bytes:
    with open_frozen(chain) as disk:
        data = bytearray(disk.size)
        disk.read_into(0, memoryview(data))
    return bytes(data)


@settings(max_examples=15, deadline=None)
@given(st.sampled_from(["raw", "qcow2"]), st.lists(layer_plans(), min_size=2, max_size=4))
def test_merging_all_layers_keeps_every_byte(base: str, plans: list[LayerPlan]) -> None:
    grown = [max(plan.size for plan in plans[: number + 1]) for number in range(len(plans))]
    plans = [LayerPlan(size, plan.options, plan.changes) for size, plan in zip(grown, plans, strict=True)]
    with tempfile.TemporaryDirectory() as directory:
        chain, views = build(Path(directory), base, plans)
        base_layer = chain[-1]
        for index in range(len(chain) - 2, -1, -1):
            above = chain[index - 1] if index else None
            merge_down(chain[index], base_layer, above, timeout=TIMEOUT)
        assert read_chain(base_layer.path, base_layer.format) == (base_layer,)
        assert content((base_layer,)) == views[0]


def three(tmp_path: Path, base_format: str = "raw") -> tuple[ImageLayer, ImageLayer, ImageLayer]:
    base = make_base(tmp_path / "base", base_format, MIB)
    change(base, Change("write", 0, MIB, 1))
    middle = make_overlay(tmp_path / "middle", base)
    change(middle, Change("write", 0, 4 * CLUSTER, 2), Change("discard", 8 * CLUSTER, CLUSTER))
    top = make_overlay(tmp_path / "top", middle, 2 * MIB)
    change(top, Change("write", CLUSTER, CLUSTER, 3), Change("write", MIB, CLUSTER, 4))
    return top, middle, base


@pytest.mark.parametrize("base_format", ["raw", "qcow2"])
def test_middle_layer_goes_down_and_the_top_rests_on_the_base(tmp_path: Path, base_format: str) -> None:
    top, middle, base = three(tmp_path, base_format)
    truth, below = content((top, middle, base)), content((middle, base))
    before = identify(middle.path)
    for _ in range(2):  # the second time there is nothing left to do
        merge_down(middle, base, top, timeout=TIMEOUT)
        assert read_chain(top.path, "qcow2") == (top, base)
        assert content((top, base)) == truth
        assert content((base,)) == below
        if Path(middle.path).exists():
            assert identify(middle.path) == before
            Path(middle.path).unlink()


@pytest.mark.parametrize("after", ["commit", "sync", "rebase"])
def test_failure_between_the_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: str) -> None:
    top, middle, base = three(tmp_path)
    truth = content((top, middle, base))
    real_qemu_img, real_sync = commit.qemu_img, commit.sync

    def qemu_img(verb: str, *arguments: str, **options: float) -> bytes:
        answer = real_qemu_img(verb, *arguments, **options)  # type: ignore[arg-type]
        if verb == after:
            raise KeyboardInterrupt
        return answer

    def sync(path: str) -> None:
        real_sync(path)
        if after == "sync":
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(commit, "qemu_img", qemu_img)
        patch.setattr(commit, "sync", sync)
        with pytest.raises(KeyboardInterrupt):
            merge_down(middle, base, top, timeout=TIMEOUT)
    assert content(read_chain(top.path, "qcow2")) == truth
    merge_down(middle, base, top, timeout=TIMEOUT)
    assert read_chain(top.path, "qcow2") == (top, base)
    assert content((top, base)) == truth


def test_cancelled_while_copying(tmp_path: Path) -> None:
    base = make_base(tmp_path / "base", "raw", 512 * MIB)
    middle = make_overlay(tmp_path / "middle", base)
    change(middle, *(Change("write", at * MIB, 32 * MIB, 1 + at // 32) for at in range(0, 512, 32)))
    top = make_overlay(tmp_path / "top", middle)
    truth = ImageLayer(str(tmp_path / "truth"), "raw")
    run("qemu-img", "convert", "-f", "qcow2", "-O", "raw", top.path, truth.path)

    def begun() -> bool:
        return Path(base.path).stat().st_blocks > 0

    with pytest.raises(JobCancelled):
        merge_down(middle, base, top, timeout=TIMEOUT, cancelled=begun)
    assert can_be_opened(base), "qemu-img goes on"
    assert len(read_chain(top.path, "qcow2")) == 3
    assert same_content(read_chain(top.path, "qcow2"), [truth], timeout=TIMEOUT)
    merge_down(middle, base, top, timeout=TIMEOUT)
    assert same_content([top, base], [truth], timeout=TIMEOUT)


def test_killed_while_copying(tmp_path: Path) -> None:
    """The process dies at different moments of a long commit; the disk is right each time, and in the end."""
    size = 512 * MIB
    base = make_base(tmp_path / "base", "raw", size)
    middle = make_overlay(tmp_path / "middle", base)
    step = 32 * MIB
    change(middle, *(Change("write", at, step, 1 + at // step) for at in range(0, size, step)))
    top = make_overlay(tmp_path / "top", middle)
    change(top, Change("write", 0, CLUSTER, 200))
    truth = ImageLayer(str(tmp_path / "truth"), "raw")
    run("qemu-img", "convert", "-f", "qcow2", "-O", "raw", top.path, truth.path)
    program = (
        "import sys\n"
        "from overwinter.images.commit import merge_down\n"
        "from overwinter.model.vm import ImageLayer\n"
        "layers = [ImageLayer(p, f) for p, f in zip(sys.argv[1:4], ('qcow2', 'raw', 'qcow2'))]\n"
        "print('ready', flush=True)\n"
        "merge_down(*layers, timeout=60)\n"
    )
    interrupted = 0
    for copied in (MIB, 128 * MIB, 300 * MIB):
        child = subprocess.Popen(
            [sys.executable, "-c", program, middle.path, base.path, top.path], stdout=subprocess.PIPE
        )
        assert child.stdout and child.stdout.readline() == b"ready\n"
        wait_until(lambda copied=copied: Path(base.path).stat().st_blocks * 512 >= copied)  # type: ignore[misc]
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        chain = read_chain(top.path, "qcow2")
        interrupted += len(chain) == 3
        wait_until(lambda: can_be_opened(base))  # the killed process took its qemu-img along
        assert same_content(chain, [truth], timeout=TIMEOUT)
    assert interrupted
    merge_down(middle, base, top, timeout=TIMEOUT)
    assert same_content([top, base], [truth], timeout=TIMEOUT)


def can_be_opened(layer: ImageLayer) -> bool:
    try:
        open_frozen((layer,)).close()
    except ImageError:
        return False
    return True


def test_wrong_relations_change_nothing(tmp_path: Path) -> None:
    top, middle, base = three(tmp_path)
    other = make_base(tmp_path / "other", "raw", MIB)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(ChainUnexpected, match="does not rest on"):
        merge_down(middle, other, top, timeout=TIMEOUT)
    with pytest.raises(ChainUnexpected, match="does not rest on"):
        merge_down(top, base, None, timeout=TIMEOUT)
    with pytest.raises(ChainUnexpected, match="does not rest on"):
        merge_down(middle, ImageLayer(base.path, "qcow2"), None, timeout=TIMEOUT)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_smaller_upper_layer_is_refused(tmp_path: Path) -> None:
    base = make_base(tmp_path / "base", "raw", 2 * MIB)
    upper = make_overlay(tmp_path / "upper", base, MIB)
    with pytest.raises(ChainUnexpected, match="smaller"):
        merge_down(upper, base, None, timeout=TIMEOUT)


def test_layers_in_use_are_refused(tmp_path: Path) -> None:
    top, middle, base = three(tmp_path)
    with machine_writing_to(top), pytest.raises(ImageError, match="lock"):
        merge_down(middle, base, top, timeout=TIMEOUT)
    with open_frozen((base,)), pytest.raises(ImageError, match="lock"):
        merge_down(middle, base, top, timeout=TIMEOUT)
    assert read_chain(top.path, "qcow2") == (top, middle, base)


def test_a_copy_that_takes_too_long_is_stopped(tmp_path: Path) -> None:
    top, middle, base = three(tmp_path)
    truth = content((top, middle, base))
    with pytest.raises(ImageError, match="did not end"):
        merge_down(middle, base, top, timeout=0.0)
    assert content(read_chain(top.path, "qcow2")) == truth
    merge_down(middle, base, top, timeout=TIMEOUT)
    assert content((top, base)) == truth


def test_same_content(tmp_path: Path) -> None:
    top, middle, base = three(tmp_path)
    run("qemu-img", "convert", "-f", "qcow2", "-O", "raw", top.path, str(tmp_path / "copy"))
    copy = ImageLayer(str(tmp_path / "copy"), "raw")
    assert same_content([top, middle, base], [copy], timeout=TIMEOUT)
    change(copy, Change("write", MIB, 512, 99))
    assert not same_content([top, middle, base], [copy], timeout=TIMEOUT)
    with pytest.raises(ImageError, match="gone"):
        same_content([copy], [ImageLayer(str(tmp_path / "gone"), "raw")], timeout=TIMEOUT)
