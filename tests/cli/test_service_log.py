"""The service's log file: whole lines of JSON for its owner alone, and never more than so many bytes."""

import json
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import logging, os, sys, structlog
from pathlib import Path
from overwinter.cli import service_log
service_log.MOST_BYTES = 20_000
os.umask(0o077)
service_log.log_to(Path(sys.argv[1]))
log = structlog.get_logger("test")
log.info("with a value", job=7)
log.debug("not this")
logging.getLogger("somebody.else").warning("a %s line", "library's")
logging.getLogger("somebody.else").info("nor this")
try:
    1 / 0
except ZeroDivisionError:
    log.exception("failed")
for number in range(int(sys.argv[2])):
    log.info("filler", number=number, text="x" * 100)
"""


def log(file: Path, fillers: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PROGRAM, str(file), str(fillers)]
    return subprocess.run(command, capture_output=True, text=True, check=True)


def lines(file: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_the_same_lines_go_to_the_file_and_to_standard_error(tmp_path: Path) -> None:
    file = tmp_path / "log" / "service.log"
    done = log(file)
    told = lines(file)
    assert [line["event"] for line in told] == ["with a value", "a library's line", "failed"]
    assert told[0]["job"] == 7 and told[0]["level"] == "info" and str(told[0]["timestamp"]).endswith("Z")
    assert "ZeroDivisionError" in str(told[2]["exception"])
    assert [json.loads(line) for line in done.stderr.splitlines()] == told
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    log(file)
    assert len(lines(file)) == 6, "a restart goes on in the same file"


def test_it_is_bounded(tmp_path: Path) -> None:
    file = tmp_path / "service.log"
    log(file, fillers=1000)
    kept = sorted(path.name for path in tmp_path.iterdir())
    assert kept == ["service.log", "service.log.1"]
    assert all((tmp_path / name).stat().st_size <= 20_000 for name in kept)
    assert lines(file)[-1]["number"] == 999
    assert lines(tmp_path / "service.log.1")


def test_a_log_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("a file")
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "log" / "service.log"), "0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "cannot be written" in done.stderr
