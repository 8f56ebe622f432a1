"""The benchmark as a user runs it, small; its figures are plausible and it leaves nothing behind."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench import image
from bench.image import make_image
from bench.measure import INTERVAL, BenchError, measure
from bench.report import medians, ratios
from bench.rows import Row

ROOT = Path(__file__).parents[2]

COMMAND = [sys.executable, "-m", "bench", "--tools", "overwinter,qemu-img"]


def working_directory(progress: str) -> Path:
    line = next(line for line in progress.splitlines() if line.startswith("working in "))
    return Path(line.removeprefix("working in "))


@pytest.mark.libvirt
def test_document(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    done = subprocess.run(
        [*COMMAND, "--size", "24M", "--report", str(report)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    document: dict[str, Any] = json.loads(done.stdout)
    assert json.loads(report.read_text()) == document
    assert document.keys() == {"conditions", "runs", "ratios"}
    runs = {(run.pop("tool"), run.pop("what")): run for run in document["runs"]}
    assert set(runs) == {
        ("overwinter", "first"),
        ("overwinter", "unchanged"),
        ("overwinter-full-compare", "unchanged"),
        ("overwinter", "changed1"),
        ("overwinter", "restore"),
        ("overwinter-raw", "restore"),
        ("qemu-img", "first"),
        ("qemu-img", "restore"),
    }
    for run in runs.values():
        assert run.keys() == {"seconds", "bytes_read", "bytes_stored", "peak_rss_bytes"}
        assert run["seconds"] > 0 and run["peak_rss_bytes"] > 0
    data = document["conditions"]["image"]["data_bytes"]
    assert data > 20 << 20
    assert runs["overwinter", "first"]["bytes_read"] >= data
    assert runs["overwinter", "unchanged"]["bytes_read"] == 0
    assert runs["overwinter-full-compare", "unchanged"]["bytes_read"] >= data
    assert 0 < runs["overwinter", "changed1"]["bytes_read"] <= 0.04 * data + (1 << 20)
    assert runs["overwinter-full-compare", "unchanged"]["bytes_stored"] < 100_000
    assert document["ratios"]["qemu-img"].keys() == {"first", "restore"}
    assert not working_directory(done.stderr).exists()


@pytest.mark.libvirt
def test_interrupted_run_leaves_nothing(tmp_path: Path) -> None:
    command = [*COMMAND, "--size", "200M", "--report", str(tmp_path / "report.json")]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        directory = working_directory(process.stderr.readline())
        assert directory.is_dir()
        process.stderr.readline()  # it makes its image now
        process.send_signal(signal.SIGINT)
        process.communicate()
    assert process.returncode != 0
    assert not directory.exists()
    assert not (tmp_path / "report.json").exists()


def test_measures_the_whole_process_tree(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(30 << 20))
    # It stays for many looks at its memory: one whole, early look would be chance on a busy machine.
    held = f"held = bytearray(b'x') * (100 << 20), open('file', 'rb').read(); time.sleep({40 * INTERVAL})"
    grandchild = f"import time; {held}"
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {grandchild!r}], check=True)"
    done = measure([sys.executable, "-c", child], cwd=tmp_path, durable=tmp_path)
    assert 130 << 20 <= done.peak_rss_bytes < 400 << 20
    assert 30 << 20 <= done.rchar < 60 << 20


def test_a_tool_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="no such luck"):
        measure(["sh", "-c", "echo no such luck >&2; exit 3"], cwd=tmp_path, durable=tmp_path)


def test_takes_files_again_when_there_are_too_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    for directory in (source, target):
        directory.mkdir()
    (source / "one").write_bytes(b"content " * (1 << 17))
    monkeypatch.setattr(image, "SOURCE", source)
    made = make_image(target, 4 << 20)
    assert (made.files, made.file_bytes, made.edited_bytes) == (4, 4 << 20, 3 << 20)
    assert made.data_bytes >= 4 << 20
    assert [path.name for path in target.iterdir()] == ["image.qcow2"]
    with pytest.raises(BenchError):
        monkeypatch.setattr(image, "SOURCE", target / "nothing")
        make_image(tmp_path / "other", 1 << 20)


def test_medians_and_ratios() -> None:
    rows = [Row("overwinter", "first", seconds, 0, 0, 0) for seconds in (3.0, 1.0, 2.0)]
    rows += [Row("restic", "first", 8.0, 0, 0, 0), Row("restic", "restore", 8.0, 0, 0, 0)]
    chosen = medians(rows)
    assert [row.seconds for row in chosen] == [2.0, 8.0, 8.0]
    assert ratios(chosen) == {"restic": {"first": 4.0}}
