"""Which file systems are frozen, in which order: mountinfo as kernels write it, read without one."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overwinter.extension.mounts import (
    Candidate,
    Mount,
    Reason,
    choose,
    every_mount,
    on_loop_devices,
    open_mount,
    parse,
)
from overwinter.extension.settings import mounts_to_skip
from overwinter.model.freeze import NotFrozen

#: A machine with LVM, a snap, containers, network and FUSE; the order is that of mounting.
BUSY = r"""22 28 0:20 / /sys rw,nosuid - sysfs sysfs rw
23 28 0:21 / /proc rw,nosuid - proc proc rw
28 1 253:0 / / rw,relatime shared:1 - ext4 /dev/mapper/vg-root rw,errors=remount-ro
24 28 0:22 / /run rw,nosuid - tmpfs tmpfs rw
30 28 252:1 / /boot rw,relatime - ext4 /dev/vda1 rw
31 30 252:15 / /boot/efi rw,relatime - vfat /dev/vda15 rw
32 28 7:1 / /snap/core/1 ro,nodev - squashfs /dev/loop1 ro
33 28 253:1 / /srv/with\040blank rw - xfs /dev/mapper/vg-srv rw,noquota
34 28 0:44 /@home /home rw - btrfs /dev/vdb rw,subvol=/@home
35 28 0:44 /@logs /var/log rw - btrfs /dev/vdb rw,subvol=/@logs
36 28 253:1 /inner /bound ro,relatime - xfs /dev/mapper/vg-srv rw,noquota
37 28 7:9 / /mnt/image rw - ext4 /dev/loop9 rw
38 28 253:7 / /mnt/crypt rw - ext4 /dev/mapper/on-loop rw
39 28 0:50 / /net rw - nfs4 server:/export rw
40 28 0:51 / /sshfs rw - fuse.sshfs me@there: rw
41 28 252:33 / /ntfs rw - fuseblk /dev/vdc1 rw
42 28 0:52 / /var/lib/docker/overlay2/x/merged rw - overlay overlay rw,lowerdir=a,upperdir=b
43 28 252:49 / /scratch rw - ext4 /dev/vdd1 rw
44 28 252:65 / /archive rw - ext4 /dev/vde1 ro
"""


def reasons(chosen: list[Candidate]) -> dict[str, str | None]:
    return {each.first.point: each.why_not for each in chosen}


def test_a_busy_machine() -> None:
    chosen = choose(parse(BUSY), ["/scratch"], {"7:1", "7:9", "253:7"})
    assert reasons(chosen) == {
        "/": None,
        "/boot": None,
        "/boot/efi": None,
        "/snap/core/1": Reason.READ_ONLY,
        "/srv/with blank": None,
        "/home": None,
        "/mnt/image": Reason.LOOP,
        "/mnt/crypt": Reason.LOOP,
        "/net": Reason.NETWORK,
        "/sshfs": Reason.FUSE,
        "/ntfs": Reason.FUSE,
        "/var/lib/docker/overlay2/x/merged": Reason.STACKED,
        "/scratch": Reason.EXCLUDED,
        "/archive": Reason.READ_ONLY,
    }
    frozen = [each.first.point for each in chosen if each.why_not is None]
    assert frozen == ["/home", "/srv/with blank", "/boot/efi", "/boot", "/"]


def test_the_root_comes_last_even_when_it_was_mounted_again() -> None:
    again = BUSY + "60 28 253:0 / /rebound rw - ext4 /dev/mapper/vg-root rw\n"
    assert choose(parse(again), [], set())[-1].first.point == "/"
    late_root = "1 0 8:2 / /early rw - ext4 /dev/sda2 rw\n2 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
    assert [each.first.point for each in choose(parse(late_root), [], set())] == ["/early", "/"]


def test_a_mount_in_a_container_is_not_the_root_and_comes_first() -> None:
    inside = parse("90 89 252:81 / / rw - ext4 /dev/vdf1 rw\n", root="/proc/77/root")
    assert choose(parse(BUSY) + inside, [], set())[0].first.root == "/proc/77/root"


@given(st.lists(st.integers(0, 9), min_size=1, max_size=40))
def test_each_file_system_is_frozen_once_in_the_order_opposite_to_its_first_mount(devices: list[int]) -> None:
    mounts = [
        Mount(n, f"8:{device}", f"/m{n}", "ext4", f"/dev/sd{device}", read_only=False)
        for n, device in enumerate(devices)
    ]
    chosen = choose(mounts, [], set())
    assert [each.first.device for each in chosen] == [
        f"8:{d}" for d in reversed(list(dict.fromkeys(devices)))
    ]
    assert sum(len(each.mounts) for each in chosen) == len(mounts)


def test_whatever_rests_on_a_loop_device_is_found_at_any_depth(tmp_path: Path) -> None:
    for device, slaves in {
        "253:7": {"dm-8": "253:8"},
        "253:8": {"loop3": "7:3"},
        "253:0": {"vda": "252:0"},
    }.items():
        for name, number in slaves.items():
            place = tmp_path / "dev/block" / device / "slaves" / name
            place.mkdir(parents=True)
            (place / "dev").write_text(f"{number}\n")
    mounts = [Mount(1, d, "/m", "ext4", "s", read_only=False) for d in ("253:7", "253:0", "7:3", "0:44")]
    assert on_loop_devices(mounts, str(tmp_path)) == {"253:7", "7:3"}


def test_this_machine_can_be_read_and_a_hidden_mount_is_told() -> None:
    mounts = every_mount()
    proc = next(mount for mount in mounts if mount.point == "/proc")
    descriptor = open_mount(Candidate([proc], None))
    assert descriptor is not None
    os.close(descriptor)
    assert open_mount(Candidate([proc._replace(id=proc.id + 100_000)], None)) is None
    with pytest.raises(FileNotFoundError):
        open_mount(Candidate([proc._replace(point="/not/there")], None))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("[SnapshotThread]\nMountsToSkip = /scratch, /mnt/big/\n", ["/scratch", "/mnt/big"]),
        ('[SnapshotThread]\nMountsToSkip="/"\n', ["/"]),
        ("[SnapshotThread]\ntimeout=60\n", []),
        ("[Monitor]\nRun=x\n", []),
        ("no section at all\n", []),
        ("[SnapshotThread]\nMountsToSkip=/a%20b\n[SnapshotThread]\n", ["/a%20b"]),
    ],
)
def test_mounts_to_skip(tmp_path: Path, content: str, expected: list[str]) -> None:
    file = tmp_path / "vmbackup.conf"
    file.write_text(content)
    assert mounts_to_skip(str(file)) == expected


def test_without_settings_nothing_is_skipped(tmp_path: Path) -> None:
    assert mounts_to_skip(str(tmp_path / "none")) == []


def test_host_and_guest_speak_the_same_words() -> None:
    theirs = {value for name, value in vars(Reason).items() if name.isupper()}
    assert theirs == {reason.value for reason in NotFrozen}
