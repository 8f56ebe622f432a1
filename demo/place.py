"""Where the demonstration keeps its things, and how all of it is removed."""

import shutil
import sys
from pathlib import Path

import libvirt

from testkit.daemons import LIBVIRT_URI, libvirt_daemons
from testkit.runs import sweep_leftovers

#: QEMU's own user must reach the disk images, so they do not lie in the clone.
DIRECTORY = Path("/var/tmp/overwinter-demo")
STATE = DIRECTORY / "state"
REPORT = Path("demo-report.json")


def clean() -> None:
    """Remove everything a demonstration made: VMs, disks, vault, service state, report."""
    if DIRECTORY.exists():
        with libvirt_daemons():
            connection = libvirt.open(LIBVIRT_URI)
            sweep_leftovers(connection)
            connection.close()
    shutil.rmtree(DIRECTORY, ignore_errors=True)
    REPORT.unlink(missing_ok=True)


if __name__ == "__main__":
    clean()
    sys.exit(0)
