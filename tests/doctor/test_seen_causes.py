"""Who raises an error names its cause where it has seen it: made real, as far as no guest is needed."""

from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from overwinter.catalog import jobs, vaults
from overwinter.catalog.database import Catalog
from overwinter.hypervisor import inventory
from overwinter.hypervisor.connection import Hypervisor
from overwinter.images.chain import read_chain
from overwinter.images.qemu_img import qemu_img
from overwinter.jobs import disk_rules
from overwinter.model.errors import (
    BackupOperationInProgress,
    CatalogUnavailable,
    DiskSizeUnsupported,
    HypervisorUnavailable,
    ImageError,
    VaultKeyWrong,
)
from overwinter.model.job import JobOperation
from overwinter.model.profile import find_profile
from overwinter.model.protection import StackVersion
from overwinter.model.vm import Disk, EncryptedDisk, VirtualMachine
from overwinter.vault.keys.key_file import read_key_file
from tests.doctor.facts import DISK, MACHINE, NOW, VAULT, job

TIB = 1 << 40


def test_libvirt_that_does_not_run(tmp_path: Path) -> None:
    with pytest.raises(HypervisorUnavailable) as caught:
        inventory.names(Hypervisor(f"qemu+unix:///system?socket={tmp_path}/nobody"))
    assert caught.value.cause == "C-LIBVIRT-DOWN"


def test_a_database_server_that_does_not_run(tmp_path: Path) -> None:
    with pytest.raises(CatalogUnavailable) as caught:
        Catalog(f"postgresql://nobody@/none?host={tmp_path}").migrate()
    assert caught.value.cause == "C-DATABASE-AWAY"


def test_an_embedded_database_without_room(tmp_path: Path) -> None:
    catalog = Catalog(f"sqlite:///{tmp_path}/catalog.db")
    catalog.migrate()
    with pytest.raises(CatalogUnavailable) as caught, catalog.transaction() as tx:
        pages = tx.exec_driver_sql("PRAGMA page_count").scalar_one()
        tx.exec_driver_sql(f"PRAGMA max_page_count={pages}")
        for number in range(1000):
            tx.exec_driver_sql("INSERT INTO settings VALUES (?, ?)", (str(number), "x" * 4000))
    assert caught.value.cause == "C-DATABASE-FULL"
    catalog.close()


def test_images(tmp_path: Path) -> None:
    image = tmp_path / "a.qcow2"

    def cause() -> str | None:
        with pytest.raises(ImageError) as caught:
            read_chain(str(image), "qcow2")
        return caught.value.cause

    assert cause() == "C-IMAGE-AWAY"
    image.write_bytes(b"noise" * 100)
    assert cause() == "C-IMAGE-DAMAGED"
    image.unlink()
    qemu_img("create", "-q", "-f", "qcow2", str(image), "1M")
    qemu_img("rebase", "-u", "-f", "qcow2", "-F", "qcow2", "-b", str(image), str(image))
    assert cause() == "C-IMAGE-DAMAGED"
    qemu_img("rebase", "-u", "-f", "qcow2", "-F", "qcow2", "-b", str(tmp_path / "lost"), str(image))
    assert cause() == "C-IMAGE-AWAY"


@pytest.mark.parametrize(("mode", "content"), [(None, ""), (0o644, "00" * 32), (0o600, "no key")])
def test_key_files_that_cannot_be_used(tmp_path: Path, mode: int | None, content: str) -> None:
    key = tmp_path / "key"
    if mode is not None:
        key.write_text(content)
        key.chmod(mode)
    with pytest.raises(VaultKeyWrong) as caught:
        read_key_file(key)
    assert caught.value.cause == "C-KEY-UNUSABLE"


def sized(size: int) -> Disk:
    return replace(DISK, size=size)


@pytest.mark.parametrize(
    ("profile", "stack", "machine", "cause"),
    [
        ("2021", StackVersion.V2, replace(MACHINE, disks=(sized(33 * TIB),)), "C-DISK-BIG"),
        (
            "2021",
            StackVersion.V2,
            replace(MACHINE, encrypted_disks=(EncryptedDisk("vdb", 5 * TIB, ()),)),
            "C-DISK-ENC-BIG",
        ),
        (
            "2021",
            StackVersion.V2,
            replace(MACHINE, encrypted_disks=(EncryptedDisk("vdb", 33 * TIB, ()),)),
            "C-DISK-BIG",
        ),
        ("2018", StackVersion.V1, replace(MACHINE, disks=(sized(2 * TIB),)), "C-STACK-V1"),
        ("2018", StackVersion.V1, replace(MACHINE, disks=(sized(5 * TIB),)), "C-DISK-BIG"),
    ],
)
def test_disks_that_are_too_large(
    profile: str, stack: StackVersion, machine: VirtualMachine, cause: str
) -> None:
    with pytest.raises(DiskSizeUnsupported) as caught:
        disk_rules.check(machine, find_profile(profile), stack)
    assert caught.value.cause == cause


def test_jobs_that_are_in_the_way(tmp_path: Path) -> None:
    catalog = Catalog(f"sqlite:///{tmp_path}/catalog.db")
    catalog.migrate()
    other = replace(VAULT, id=UUID(int=99), name="other")
    running = job(JobOperation.BACKUP, NOW, None)
    with catalog.transaction() as tx:
        vaults.insert(tx, VAULT)
        vaults.insert(tx, other)
        jobs.insert(tx, running)
    for vault, cause in ((VAULT, "C-JOB-RUNNING"), (other, "C-JOB-OTHER-VAULT")):
        late = replace(running, id=UUID(int=78), vault_id=vault.id)
        with pytest.raises(BackupOperationInProgress) as caught, catalog.transaction() as tx:
            jobs.insert(tx, late)
        assert caught.value.cause == cause
    catalog.close()
