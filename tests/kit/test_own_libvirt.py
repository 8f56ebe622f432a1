"""A program with a libvirt of its own may kill it: the machine's libvirtd and its guests notice nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

from testkit.daemons import LIBVIRTD
from testkit.domains import GuestMaker

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.libvirt

STORY = """
import signal
import libvirt
from testkit.daemons import LIBVIRT_URI, LIBVIRTD, libvirt_daemons
from testkit.own_libvirt import move_there

move_there()
with libvirt_daemons():
    LIBVIRTD.end(signal.SIGKILL)
    LIBVIRTD.start()
    print(len(libvirt.open(LIBVIRT_URI).listAllDomains()))
"""


def test_killing_the_own_libvirtd_leaves_the_machines_alone(guests: GuestMaker) -> None:
    guest = guests.make("bystander", start=False)
    before = LIBVIRTD.pid
    done = subprocess.run(
        [sys.executable, "-c", STORY], cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=120, check=True
    )
    assert done.stdout == "0\n"
    assert LIBVIRTD.pid == before
    assert not guest.domain.isActive()  # the connection still answers
    guests.remove(guest)
