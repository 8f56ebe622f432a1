"""Whatever a killed run leaves behind, the next one removes; living runs are left alone."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import libvirt
import pytest

from testkit.ground import Ground
from testkit.runs import Run, sweep_leftovers

pytestmark = pytest.mark.libvirt

ROOT = Path(__file__).parents[2]

VICTIM = """
import subprocess, sys, time
from testkit.disks import DiskSpec
from testkit.ground import prepare
with prepare() as ground:
    guest = ground.guests.make("victim", [DiskSpec()], start=False)
    guest.domain.create()
    sleeper = subprocess.Popen(["sleep", "1000"])
    place = ground.run.directory / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", place], check=True)
    print(ground.run.id, sleeper.pid, flush=True)
    sys.stdin.read()
"""


def test_a_killed_run_is_swept_and_a_living_one_is_not(ground: Ground) -> None:
    victim = subprocess.Popen(
        [sys.executable, "-c", VICTIM], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert victim.stdin is not None
    assert victim.stdout is not None
    run_id, sleeper = victim.stdout.readline().split()
    run = Run(run_id)
    name = run.domain_name("victim")

    sweep_leftovers(ground.connection)
    assert ground.connection.lookupByName(name).isActive()
    assert victim.poll() is None

    victim.send_signal(signal.SIGKILL)
    victim.wait()
    victim.stdin.close()
    victim.stdout.close()
    os.kill(int(sleeper), 0)
    sweep_leftovers(ground.connection)
    with pytest.raises(libvirt.libvirtError, match="not found"):
        ground.connection.lookupByName(name)
    assert not run.directory.exists()
    assert run.id not in Path("/proc/self/mounts").read_text()
    assert not Path(f"/proc/{sleeper}").exists()
    assert ground.run.directory.exists()
