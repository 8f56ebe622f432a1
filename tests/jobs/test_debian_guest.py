"""A whole Debian is frozen, backed up and restored: all kinds of file systems, LVM, BIOS and UEFI."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from overwinter.model.freeze import FreezeMethod
from overwinter.model.point import Consistency, RecoveryPoint
from testkit.console import console_run
from testkit.debian_domains import (
    BOOT_LIMIT_SECONDS,
    DATA_DIRECTORIES,
    DATA_DISKS,
    Firmware,
    make_debian_guest,
    make_file_systems,
)
from testkit.debian_guest import ROOT_START
from testkit.disks import MIB, convert
from testkit.domains import TinyGuest
from testkit.ground import Ground
from testkit.journals import btrfs_has_log_to_replay, ext4_has_journal_to_replay
from testkit.station import Station

pytestmark = [pytest.mark.libvirt, pytest.mark.long]

KINDS = {"/": "ext4", "/data/ext4": "ext4", "/data/xfs": "xfs", "/data/btrfs": "btrfs", "/data/lvm": "ext4"}

#: Where LVM puts the first logical volume of a disk.
LVM_START = 1 * MIB


@pytest.fixture(scope="module")
def debian(ground: Ground) -> Iterator[TinyGuest]:
    """Boots by BIOS, has all kinds of file systems; files go with the run."""
    guest = make_debian_guest(ground, "debian", DATA_DISKS)
    make_file_systems(guest)
    yield guest
    guest.destroy()


def test_the_agent_freezes_every_file_system(debian: TinyGuest) -> None:
    kinds = debian.agent.check(f"stat --file-system --format %T / {' '.join(DATA_DIRECTORIES)}").split()
    assert kinds == ["ext2/ext3", "ext2/ext3", "xfs", "btrfs", "ext2/ext3"]
    assert debian.agent.command("guest-fsfreeze-freeze") == len(kinds)
    # What a running system writes to is frozen; the shell lives all the same.
    assert "alive" in console_run(debian.domain, "echo alive", limit=60)
    assert debian.agent.command("guest-fsfreeze-thaw") == len(kinds)
    assert debian.agent.check("systemctl is-system-running || true").strip() in ("running", "starting")


def test_the_extension_freezes_every_file_system_and_the_restored_vm_has_all_that_was_written(
    debian: TinyGuest, station: Station
) -> None:
    item = station.protect(debian)
    files = " ".join(f"{directory.rstrip('/')}/unsynced" for directory in KINDS)
    beats = " ".join(f"{directory.rstrip('/')}/beat" for directory in KINDS)
    writer = f"while sleep 0.05; do for f in {beats}; do echo >>$f; sync $f; done; done"
    debian.agent.check(f"({writer}) >/dev/null 2>&1 </dev/null & for f in {files}; do echo $f >$f; done")
    point = station.backup(item)
    assert_all_stood_still(point, KINDS)
    debian.agent.check(f"for f in {files}; do echo later >$f; done; sync", limit=30)
    debian.domain.suspend()
    assert_nothing_to_replay(station, point)
    restored = restored_vm(station, point)
    mounts = " ".join(f"{directory.strip('/').replace('/', '-')}.mount" for directory in DATA_DIRECTORIES)
    restored.agent.check(f"systemctl start {mounts}", BOOT_LIMIT_SECONDS)
    assert restored.agent.check(f"cat {files}").split() == files.split()
    assert "recovery complete" not in restored.agent.check("dmesg")
    restored.destroy()


def test_an_agent_that_nothing_starts_at_boot_is_enabled_when_asked(ground: Ground, station: Station) -> None:
    """With a unit like that of distributions that do not leave its start to the device alone."""
    guest = make_debian_guest(ground, "disabled")
    item = station.protect(guest)
    assert station.service.plan_repairs(item) == [], "Debian's own unit is started by the device"
    unit = "/etc/systemd/system/qemu-guest-agent.service"
    guest.agent.check(
        f"cp /lib/systemd/system/qemu-guest-agent.service {unit}; "
        f"printf '[Install]\\nWantedBy=multi-user.target\\n' >>{unit}; systemctl daemon-reload",
        limit=60,
    )
    (finding,) = station.service.plan_repairs(item)
    assert (
        finding.repair == "agent-autostart" and "qemu-guest-agent.service is not enabled" in finding.finding
    )
    job = station.completed(station.service.repair(item))
    assert job.report is not None and [row["failure"] for row in job.report["repairs"]] == [None]
    assert guest.agent.check("systemctl is-enabled qemu-guest-agent", limit=60).strip() == "enabled"
    assert station.service.plan_repairs(item) == []
    guest.destroy()


def test_a_guest_that_boots_by_uefi_comes_back_bootable(ground: Ground, station: Station) -> None:
    guest = make_debian_guest(ground, "uefi", firmware=Firmware.UEFI)
    guest.agent.check("[ -d /sys/firmware/efi ] && echo here >/here")
    point = station.backup(station.protect(guest))
    assert_all_stood_still(point, {"/": "ext4"})
    guest.destroy()
    restored = restored_vm(station, point)
    assert restored.agent.check("[ -d /sys/firmware/efi ] && cat /here").strip() == "here"
    restored.destroy()


def assert_all_stood_still(point: RecoveryPoint, kinds: dict[str, str]) -> None:
    """The label says so, and the record names these file systems, the root as the last, and no other."""
    assert point.consistency is Consistency.FILE_SYSTEM and not point.warnings
    assert point.freeze is not None and point.freeze.method is FreezeMethod.EXTENSION
    assert {mount.point: mount.type for mount in point.freeze.frozen} == kinds
    assert point.freeze.frozen[-1].point == "/"
    assert not point.freeze.skipped and not point.freeze.unlisted


def assert_nothing_to_replay(station: Station, point: RecoveryPoint) -> None:
    """No journal of the restored disks holds anything that the file systems lack."""
    directory = station.directory / f"journals-{uuid4().hex[:6]}"
    directory.mkdir(mode=0o755)
    station.completed(station.service.restore_disks(point, directory=directory))
    raws: dict[str, Path] = {}
    for disk in station.service.manifest_disks(point):
        raws[disk.target] = directory / f"{disk.target}.raw"
        image = directory / f"recovery-point-{point.id}-{disk.target}.{disk.format}"
        convert(image, disk.format, raws[disk.target])
    assert not ext4_has_journal_to_replay(raws["vda"], ROOT_START)
    assert not ext4_has_journal_to_replay(raws["vdb"])
    assert not btrfs_has_log_to_replay(raws["vdd"])
    assert not ext4_has_journal_to_replay(raws["vde"], LVM_START)


def restored_vm(station: Station, point: RecoveryPoint) -> TinyGuest:
    """The point as a VM that has booted."""
    name = station.ground.run.domain_name(f"restored-{uuid4().hex[:6]}")
    station.completed(station.service.restore_as_vm(point, vm_name=name, directory=None, start=True))
    restored = station.ground.guests.find(name)
    restored.wait_ready(BOOT_LIMIT_SECONDS)
    return restored
