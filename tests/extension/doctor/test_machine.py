"""The way to the machine: bounded in size and time, and never out of the root that is looked at."""

import os
import time
from pathlib import Path

import pytest

from overwinter.extension.doctor.machine import MOST_BYTES, Machine, TooLarge
from tests.extension.doctor.trees import NOW


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    for name in ("root", "programs", "outside"):
        (tmp_path / name).mkdir()
    (tmp_path / "outside/secret").write_text("secret")
    return Machine(str(tmp_path / "root"), [str(tmp_path / "programs"), "/usr/bin", "/bin"], NOW)


def link(machine: Machine, path: str, target: str) -> None:
    place = Path(machine.root + path)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(target)


def program(machine: Machine, script: str) -> None:
    path = Path(machine.programs[0]) / "tool"
    path.write_text("#!/bin/sh\n" + script)
    path.chmod(0o755)


def test_links_are_followed_within_the_root(machine: Machine, tmp_path: Path) -> None:
    Path(machine.root, "etc").mkdir()
    Path(machine.root, "etc/real").write_text("inside")
    link(machine, "/absolute", "/etc/real")
    link(machine, "/relative", "etc/../etc/./real")
    link(machine, "/deep/way", "/etc")
    link(machine, "/up", "../../../../etc/real")
    link(machine, "/out", str(tmp_path / "outside/secret"))
    link(machine, "/out-by-dots", "../outside/secret")
    assert machine.read_text("/absolute") == "inside"
    assert machine.read_text("/relative") == "inside"
    assert machine.read_text("/deep/way/real") == "inside"
    assert machine.read_text("/up") == "inside"
    assert machine.read_text("/out") is None
    assert machine.read_text("/out-by-dots") is None
    assert machine.read_text("/../outside/secret") is None
    assert machine.names("/deep/way") == ["real"]
    assert machine.link("/absolute") == "/etc/real"
    assert machine.link("/etc/real") is None and machine.link("/none") is None


def test_a_loop_of_links_ends(machine: Machine) -> None:
    link(machine, "/a", "b")
    link(machine, "/b", "a")
    with pytest.raises(OSError, match="symbolic links"):
        machine.read_text("/a")


def test_what_is_no_file_is_no_text(machine: Machine) -> None:
    os.mkfifo(machine.root + "/pipe")
    Path(machine.root, "file").write_text("")
    assert machine.read_text("/pipe") is None
    assert machine.read_text("/none") is None
    assert machine.read_text("/file/below") is None
    assert machine.names("/none") == machine.names("/file") == []


def test_a_large_file_is_not_read(machine: Machine) -> None:
    Path(machine.root, "large").write_bytes(bytes(MOST_BYTES + 1))
    with pytest.raises(TooLarge):
        machine.read_bytes("/large")
    Path(machine.root, "odd").write_bytes(b"\xff\xfe")
    assert machine.read_text("/odd") == "\ufffd\ufffd"


def test_a_program_is_run_with_its_words(machine: Machine) -> None:
    program(machine, 'printf "%s|" "$@" "$LC_ALL"; exit 7\n')
    ran = machine.run("tool", "a b", "c")
    assert ran is not None
    assert (ran.status, ran.output) == (7, "a b|c|C|")
    assert machine.run("no-such-tool") is None


def test_a_program_that_hangs_is_killed_with_its_children(machine: Machine) -> None:
    program(machine, f"echo $$ > {machine.root}/pid\nsleep 1000 &\nsleep 1000\n")
    with pytest.raises(TimeoutError):
        machine.run("tool", limit_s=0.5)
    group = int(Path(machine.root, "pid").read_text())
    with pytest.raises(ProcessLookupError):
        for _ in range(100):  # the children are reaped by whoever adopts them
            os.killpg(group, 0)
            time.sleep(0.05)


def test_a_program_that_prints_without_end_is_killed(machine: Machine) -> None:
    program(machine, "exec yes\n")
    with pytest.raises(TooLarge):
        machine.run("tool", limit_s=60)
