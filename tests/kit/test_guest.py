"""Tiny guests boot, talk, freeze, lose their agent and shut down; their disks hold what is written."""

from pathlib import Path

import libvirt
import pytest

from testkit.boot_disk import BootDiskSpec
from testkit.console import console_run
from testkit.disks import MIB, PIECE, DiskSpec, convert, write_image
from testkit.domains import GuestMaker, TinyGuest

pytestmark = pytest.mark.libvirt


@pytest.fixture(scope="module")
def guest(guests: GuestMaker) -> TinyGuest:
    return guests.make(
        "kit", [DiskSpec("qcow2"), DiskSpec("raw"), DiskSpec("raw", size=8 * MIB, file_system=False)]
    )


def test_mounts_every_file_system(guest: TinyGuest) -> None:
    mounted = [line.split()[:3] for line in guest.agent.check("cat /proc/mounts").splitlines()]
    assert ["/dev/vda", "/mnt/vda", "ext4"] in mounted
    assert ["/dev/vdb", "/mnt/vdb", "ext4"] in mounted
    assert not [line for line in mounted if line[0] == "/dev/vdc"]


@pytest.mark.parametrize("target", ["vda", "vdb"])
def test_files_written_through_the_agent_come_back(guest: TinyGuest, target: str) -> None:
    content = bytes(range(256)) * 1000
    guest.agent.write_file(f"/mnt/{target}/file", content)
    assert guest.agent.read_file(f"/mnt/{target}/file") == content


def test_programs_run_and_report(guest: TinyGuest) -> None:
    done = guest.agent.run("echo out; echo err >&2; exit 3")
    assert (done.exit_code, done.output, done.errors) == (3, "out\n", "err\n")


def test_freeze_holds_writes_back_and_thaw_lets_them_go_on(guest: TinyGuest) -> None:
    assert guest.agent.command("guest-fsfreeze-freeze") == 2
    assert guest.agent.command("guest-fsfreeze-status") == "frozen"
    console_run(guest.domain, "(echo late >/mnt/vda/late; touch /run/written) & true", limit=30)
    assert "written" not in console_run(guest.domain, "sleep 0.5; ls /run", limit=30)
    assert guest.agent.command("guest-fsfreeze-thaw") == 2
    guest.agent.check("until [ -e /run/written ]; do sleep 0.1; done", limit=30)
    assert guest.agent.read_file("/mnt/vda/late") == b"late\n"


def test_a_killed_agent_comes_back_and_a_stopped_one_does_not(guest: TinyGuest) -> None:
    before = guest.agent.check("pidof qemu-ga")
    guest.kill_agent()
    guest.wait_ready()
    assert guest.agent.check("pidof qemu-ga") != before
    guest.stop_agent()
    assert not guest.agent.answers
    guest.resume_agent()
    assert guest.agent.answers


def test_overwrite_changes_exactly_the_pieces(guest: TinyGuest, image_directory: Path) -> None:
    before, after = image_directory / "before", image_directory / "after"
    convert(guest.disks["vdc"], "raw", before)
    guest.overwrite("vdc", [MIB, 3 * MIB])
    convert(guest.disks["vdc"], "raw", after)
    old, new = before.read_bytes(), after.read_bytes()
    changed = [at for at in range(0, len(old), PIECE) if old[at : at + PIECE] != new[at : at + PIECE]]
    assert changed == [MIB, 3 * MIB]


def test_power_button_shuts_down_cleanly(guests: GuestMaker, image_directory: Path) -> None:
    guest = guests.make("off", [DiskSpec("raw", size=16 * MIB)])
    assert guest.chain("vda") == [guest.disks["vda"]]
    guest.agent.write_file("/mnt/vda/file", b"x")
    guest.shutdown()
    assert guest.domain.state()[0] == libvirt.VIR_DOMAIN_SHUTOFF
    guests.remove(guest)
    assert not guest.disks["vda"].exists()


def test_guest_without_agent_channel_gets_ready(guests: GuestMaker) -> None:
    guest = guests.make("mute", [DiskSpec(size=16 * MIB)], agent=False)
    assert not guest.agent.answers
    guests.remove(guest)


@pytest.mark.parametrize("image_format", ["qcow2", pytest.param("raw", marks=pytest.mark.long)])
def test_data_written_outside_is_what_the_guest_reads(
    guests: GuestMaker, image_format: str, image_directory: Path
) -> None:
    guest = guests.make(
        f"out-{image_format}", [DiskSpec(image_format, 16 * MIB, file_system=False)], start=False
    )
    write_image(guest.disks["vda"], image_format, [(5 * MIB, b"known" * 1000)])
    guest.start()
    assert guest.agent.check("dd if=/dev/vda bs=1M skip=5 count=1 2>/dev/null | head -c 10") == "knownknown"
    guests.remove(guest)


def test_content_of_a_directory_goes_into_the_file_system(guests: GuestMaker, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "file").write_bytes(b"from the host")
    guest = guests.make("content", [DiskSpec(content=tmp_path)])
    assert guest.agent.read_file("/mnt/vda/sub/file") == b"from the host"
    guests.remove(guest)


@pytest.mark.parametrize("image_format", ["qcow2", "raw"])
@pytest.mark.long
def test_guest_boots_from_its_own_disk(guests: GuestMaker, image_format: str) -> None:
    guest = guests.make(f"own-{image_format}", [BootDiskSpec(image_format, data_size=16 * MIB)])
    assert guest.agent.check("cut -d' ' -f1 /proc/cmdline") == "BOOT_IMAGE=vmlinuz\n"
    guest.agent.write_file("/mnt/vda2/file", b"kept")
    guest.shutdown()
    guest.start()
    assert guest.agent.read_file("/mnt/vda2/file") == b"kept"
    guests.remove(guest)
