"""The Debian guest boots from its own disk and freezes all kinds of file systems."""

import pytest

from testkit.console import console_run
from testkit.debian_domains import DATA_DIRECTORIES, DATA_DISKS, make_debian_guest, make_file_systems
from testkit.ground import Ground

pytestmark = [pytest.mark.libvirt, pytest.mark.long]


def test_it_boots_and_freezes_every_file_system(ground: Ground) -> None:
    guest = make_debian_guest(ground, "debian", DATA_DISKS)
    try:
        make_file_systems(guest)
        kinds = guest.agent.check(f"stat --file-system --format %T / {' '.join(DATA_DIRECTORIES)}").split()
        assert kinds == ["ext2/ext3", "ext2/ext3", "xfs", "btrfs", "ext2/ext3"]
        assert guest.agent.command("guest-fsfreeze-freeze") == len(kinds)
        # What a running system writes to is frozen; the shell lives all the same.
        assert "alive" in console_run(guest.domain, "echo alive", limit=60)
        assert guest.agent.command("guest-fsfreeze-thaw") == len(kinds)
        assert guest.agent.check("systemctl is-system-running || true").strip() in ("running", "starting")
    finally:
        ground.guests.remove(guest)
