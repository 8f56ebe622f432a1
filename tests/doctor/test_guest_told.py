"""What a guest prints: read line by line, strictly; the program for Linux runs in any POSIX shell."""

import subprocess
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overwinter.doctor.facts import LinuxGuest, WindowsService
from overwinter.doctor.guest_told import MOST_LINES, read_linux, read_windows, told
from overwinter.model.errors import GuestAgentInconsistent

#: Written by hand after the program, not recorded: no Windows was at hand.
WINDOWS = b"""reboot=no\r
updating=yes\r
dotnet=528449\r
service.COMSysApp=Running,Manual,LocalSystem\r
service.MSDTC=Stopped,Auto,NT AUTHORITY\\NetworkService\r
writer=1\r
writer=8\r
faults=2\r
antivirus=yes\r
excluded=no\r
"""


@pytest.mark.parametrize("shell", ["sh", "bash --posix", "busybox sh"])
def test_the_program_for_linux_runs_on_this_host(shell: str) -> None:
    script = resources.files("overwinter.doctor").joinpath("guest_linux.sh").read_text()
    done = subprocess.run([*shell.split(), "-c", script], capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    found = read_linux(told(done.stdout))
    assert found.reboot is not None
    assert found.python is not None and found.python.startswith("3.")


def test_windows_lines_are_read() -> None:
    found = read_windows(told(WINDOWS))
    assert (found.reboot, found.updating, found.dotnet) == (False, True, 528449)
    assert found.services == {
        "COMSysApp": WindowsService("Running", "Manual", "LocalSystem"),
        "MSDTC": WindowsService("Stopped", "Auto", "NT AUTHORITY\\NetworkService"),
    }
    assert (found.writers, found.faults, found.blocked) == ((1, 8), 2, None)
    assert (found.antivirus, found.excluded) == (True, False)


@pytest.mark.parametrize("output", [b"", b"\n\n", b"no line", b"UPPER=1", b"\xff\xfe=\x00", b"=x"])
def test_an_answer_without_a_line_is_none(output: bytes) -> None:
    with pytest.raises(GuestAgentInconsistent):
        told(output)


def test_what_makes_no_sense_is_not_known() -> None:
    lines = b"reboot=maybe\nreboot=no\ncrashes=-1\ndenials=many\npython=3.11\nservice.X=only,two\n"
    found = read_linux(told(lines))
    assert found == LinuxGuest(python="3.11")
    assert not read_windows(told(lines)).services


@given(st.binary(max_size=2000) | st.just(b"a=1\n" * 100_000))
def test_whatever_it_prints_is_read_or_refused(output: bytes) -> None:
    try:
        lines = told(output)
    except GuestAgentInconsistent:
        return
    assert sum(len(values) for values in lines.values()) <= MOST_LINES
    assert all(len(value) <= 200 and value.isprintable() for values in lines.values() for value in values)
    read_linux(lines)
    read_windows(lines)
