"""What keeps a backup from starting: each condition made real, one after the other in the order of checks."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import libvirt
import pytest

from overwinter.catalog import collections, points
from overwinter.catalog.points import MachineState
from overwinter.model.errors import (
    BackupOperationInProgress,
    DatasourceNotPresent,
    DiskSizeUnsupported,
    GuestAgentUnavailable,
    NotFound,
    OverlaySpaceLow,
    RestorePointLimitReached,
    SecretUnreadable,
    StandardSsdUnsupported,
    VmFailed,
    VmNotInDesirableState,
)
from overwinter.model.job import Job, JobOperation, JobStatus
from overwinter.model.point import Consistency, RestorePoint, RestorePointCollection
from overwinter.model.policy import MAX_RESTORE_POINTS
from overwinter.model.profile import find_profile
from overwinter.model.protection import ProtectedItem
from testkit.disks import MIB, DiskSpec
from testkit.domains import TinyGuest
from testkit.ground import Ground
from testkit.station import Station, open_station
from testkit.waiting import wait_until

pytestmark = pytest.mark.libvirt

TIB = 1 << 40
SECTOR = 512


@pytest.fixture(scope="module")
def edition_2021(ground: Ground) -> Iterator[Station]:
    with open_station(ground, profile=find_profile("2021")) as opened:
        yield opened


@contextmanager
def small_file_system(directory: Path, mib: int) -> Iterator[Path]:
    directory.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m,mode=755", "tmpfs", directory], check=True)
    try:
        yield directory
    finally:
        subprocess.run(["umount", "-l", directory], check=True)


def grow(file_system: Path, mib: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={mib}m", file_system], check=True)


def make_guest(station: Station, place: Path, disks: int = 1, *, start: bool = False) -> TinyGuest:
    """A guest whose last disk lies in ``place``."""
    specs = [DiskSpec(size=64 * MIB, file_system=False)] * disks
    guest = station.ground.guests.make(f"pre-{uuid4().hex[:6]}", specs, start=False)
    old = list(guest.disks.values())[-1]
    new = place / old.name
    new.write_bytes(old.read_bytes())
    old.unlink()
    guest = redefine(guest, str(old), str(new))
    if start:
        guest.start()
    return guest


def redefine(guest: TinyGuest, old: str, new: str) -> TinyGuest:
    """The guest with a piece of its definition replaced."""
    xml = guest.domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    assert old in xml
    return TinyGuest(guest.domain.connect().defineXML(xml.replace(old, new)))


def resize(path: Path, size: int) -> None:
    subprocess.run(["qemu-img", "resize", "-q", "--shrink", "-f", "qcow2", path, str(size)], check=True)


def failure(station: Station, item: ProtectedItem) -> str:
    """Code of the backup that must fail."""
    job = station.ended(station.service.backup(item, expires=None))
    assert job.status is JobStatus.FAILED, job
    (error,) = job.errors
    return error.code


def wait_for_clean_up(station: Station, item: ProtectedItem) -> None:
    """Until the clean-up that a backup at the limit has started is over."""

    def started() -> list[Job]:
        known = (job for job in station.service.jobs() if job.vm_uuid == item.vm_uuid)
        return [job for job in known if job.operation is JobOperation.CLEAN_UP_POINTS]

    wait_until(lambda: bool(started()), "no clean-up")
    station.completed(started()[0])


def encrypt(path: Path, size: int) -> None:
    """Make an encrypted image; its key lies beside it."""
    path.with_suffix(".key").write_bytes(b"open sesame")
    options = ["-o", "encrypt.format=luks,encrypt.key-secret=key,encrypt.iter-time=10"]
    command = ["qemu-img", "create", "-q", "-f", "qcow2", *_key_of(path), *options]
    subprocess.run([*command, path, str(size)], check=True)


def shrink_encrypted(path: Path, size: int) -> None:
    image = f"driver=qcow2,encrypt.key-secret=key,file.filename={path}"
    command = ["qemu-img", "resize", "-q", "--shrink", *_key_of(path), "--image-opts", image]
    subprocess.run([*command, str(size)], check=True)


def _key_of(path: Path) -> list[str]:
    return ["--object", f"secret,id=key,file={path.with_suffix('.key')}"]


def encrypted_disk(path: Path, secret: str) -> str:
    """The definition of a disk that a secret of libvirt opens."""
    return (
        f"<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{path}'>"
        f"<encryption format='luks'><secret type='passphrase' uuid='{secret}'/></encryption></source>"
        "<target dev='vdc' bus='virtio'/></disk>"
    )


def points_on_paper(station: Station, item: ProtectedItem, count: int) -> list[RestorePoint]:
    now = datetime.now(UTC)
    with station.service._runtime.catalog.transaction() as tx:
        collection = RestorePointCollection(
            uuid4(), f"AzureBackupRG_{item.vm_name}_1", "AzureBackupRG_local_1", item.vm_uuid
        )
        collections.insert(tx, collection)
        made = [
            RestorePoint(uuid4(), collection.id, f"p{number}", now, Consistency.CRASH, None, ())
            for number in range(count)
        ]
        for point in made:
            points.insert_restore_point(tx, point, MachineState("<domain/>", None))
    return made


def test_a_stopped_vm_with_everything_wrong(edition_2021: Station) -> None:
    station = edition_2021
    directory = station.directory / "wrong"
    with small_file_system(directory, 64) as small:
        guest = make_guest(station, small, disks=2)
        resize(guest.disks["vda"], 32 * TIB + SECTOR)
        item = station.protect(guest, station.strict_policy())
        made = points_on_paper(station, item, MAX_RESTORE_POINTS)

        # Its state: nobody can vouch for the file systems of a stopped VM, as the policy requires.
        assert failure(station, item) == VmNotInDesirableState.code
        item = station.protect(guest)

        # Its disks, and those that are encrypted.
        assert failure(station, item) == DiskSizeUnsupported.code
        resize(guest.disks["vda"], 32 * TIB)
        image, uuid = station.directory / "vdc.qcow2", str(uuid4())
        encrypt(image, 5 * TIB)
        guest = redefine(guest, "</devices>", f"{encrypted_disk(image, uuid)}</devices>")
        assert failure(station, item) == DiskSizeUnsupported.code
        shrink_encrypted(image, 4 * TIB)

        # The secret that opens it: none, one without a value, one that nobody may read; named otherwise, too.
        connection = guest.domain.connect()
        assert failure(station, item) == SecretUnreadable.code
        for private, value in (("no", None), ("yes", b"open sesame")):
            secret = connection.secretDefineXML(
                f"<secret ephemeral='yes' private='{private}'><uuid>{uuid}</uuid></secret>"
            )
            if value is not None:
                secret.setValue(value)
            assert failure(station, item) == SecretUnreadable.code
            secret.undefine()
        guest = redefine(guest, f"uuid='{uuid}'", f"usage='{uuid}'")
        assert failure(station, item) == SecretUnreadable.code
        usage = f"<usage type='volume'><volume>{uuid}</volume></usage>"
        secret = connection.secretDefineXML(f"<secret ephemeral='yes' private='no'>{usage}</secret>")
        secret.setValue(b"open sesame")

        # Its restore points, counted over all collections.
        assert failure(station, item) == RestorePointLimitReached.code
        wait_for_clean_up(station, item)
        with station.service._runtime.catalog.transaction() as tx:
            points.delete_restore_point(tx, made[0].id)

        # Space for the overlays, on each file system that gets one.
        assert failure(station, item) == OverlaySpaceLow.code
        grow(small, 4096)

        # Everything is put right; the encrypted disk is still no part of the backup, and it is said.
        station.backup(item, expected=("DiskNotCovered",))
        secret.undefine()
        station.ground.guests.remove(guest)


def test_a_job_in_the_former_vault_counts(edition_2021: Station) -> None:
    station = edition_2021
    guest = station.ground.guests.make(
        f"pre-{uuid4().hex[:6]}", [DiskSpec(size=MIB, file_system=False)], start=False
    )
    item = station.protect(guest)
    with station.job_in_former_vault(item), pytest.raises(BackupOperationInProgress):
        station.service.backup(item, expires=None)
    station.backup(item)


def test_a_running_vm_with_everything_wrong(edition_2021: Station) -> None:
    station = edition_2021
    with small_file_system(station.directory / "running", 16) as small:
        guest = make_guest(station, small, start=True)
        item = station.protect(guest)

        # Its state: QEMU has stopped it because the disk's storage is full.
        write = "dd if=/dev/urandom of=/dev/vda bs=1M count=48 conv=fsync >/dev/null 2>&1 &"
        guest.agent.run(write)
        failed = [libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_IOERROR]
        wait_until(lambda: guest.domain.state() == failed, "it did not stop")
        assert failure(station, item) == VmFailed.code
        grow(small, 256)
        guest.domain.resume()
        wait_until(lambda: guest.agent.answers, "it did not go on", 60)
        guest.domain.suspend()
        assert failure(station, item) == DatasourceNotPresent.code
        guest.domain.resume()

        # Space comes before the agent; the editions do not back up without one.
        guest.stop_agent()
        assert failure(station, item) == OverlaySpaceLow.code
        grow(small, 4096)
        job = station.ended(station.service.backup(item, expires=None))
        (error,) = job.errors
        assert error.code == GuestAgentUnavailable.code
        assert "in state NotInstalled: Nothing in the guest has the agent's channel open" in error.message
        assert guest.chain("vda") == [guest.disks["vda"]]
        guest.destroy()
        station.backup(item)

        guest.domain.undefine()
        with pytest.raises(NotFound):
            station.service.backup(item, expires=None)


def test_the_backup_stack_of_2018(ground: Ground) -> None:
    with open_station(ground, profile=find_profile("2018")) as station:
        guest = ground.guests.make(
            f"pre-{uuid4().hex[:6]}", [DiskSpec(size=MIB, file_system=False)], start=False
        )
        item = station.protect(guest)
        station.backup(item)
        # vda grows with the VM off, through its overlay.
        top = guest.chain("vda")[0]
        guest.domain.setMetadata(
            libvirt.VIR_DOMAIN_METADATA_ELEMENT,
            '<media><disk target="vda" type="StandardSSD_LRS"/></media>',
            "overwinter",
            "urn:overwinter:media",
            libvirt.VIR_DOMAIN_AFFECT_CONFIG,
        )
        assert failure(station, item) == StandardSsdUnsupported.code
        resize(top, TIB - (1 << 30) + SECTOR)
        assert failure(station, item) == DiskSizeUnsupported.code
        assert station.service.vaults.upgrade_stack(station.vault.name).stack == "V2"
        station.backup(item)
        resize(guest.chain("vda")[0], 4 * TIB + SECTOR)
        assert failure(station, item) == DiskSizeUnsupported.code
