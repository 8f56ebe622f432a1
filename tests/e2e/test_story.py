"""The commands against a real service on real VMs, as a user would type them, on both databases."""

import os
import stat
from pathlib import Path
from uuid import uuid4

import pytest

from testkit.disks import MIB, DiskSpec, convert, first_difference, realistic_data, write_image
from testkit.domains import TinyGuest
from testkit.ground import Ground
from testkit.program import Program
from testkit.waiting import wait_until

pytestmark = pytest.mark.libvirt


def stopped_guest(ground: Ground) -> TinyGuest:
    disks = [DiskSpec(form, size=32 * MIB, file_system=False) for form in ("qcow2", "raw")]
    guest = ground.guests.make(f"story-{uuid4().hex[:6]}", disks, start=False)
    for target, form in (("vda", "qcow2"), ("vdb", "raw")):
        write_image(guest.disks[target], form, [(MIB, realistic_data(4 * MIB, seed=7))])
    return guest


def refused(program: Program, code: str, *words: str) -> str:
    """The message of a command that must fail with that code and exit status 1."""
    answer = program.run(*words)
    assert answer.code == 1, answer
    assert answer.json["error"]["code"] == code
    return str(answer.json["error"]["message"])


def test_from_protection_to_deletion(program: Program, ground: Ground, image_directory: Path) -> None:
    guest = stopped_guest(ground)
    program.do("vault", "create", "main")
    assert program.do("protect", guest.name, "--vault", "main")["status"] == "Completed"
    assert program.do("backup", guest.name, "--wait")["status"] == "Completed"
    write_image(guest.chain("vdb")[0], "qcow2", [(3 * MIB, realistic_data(MIB, seed=8))])
    assert program.do("backup", guest.name, "--wait")["status"] == "Completed"
    newest, oldest = program.do("points", guest.name)
    assert (newest["incremental"], oldest["incremental"]) == (True, False)
    assert newest["bytes_stored"] > 0
    name = ground.run.domain_name(f"copy-{uuid4().hex[:6]}")
    program.do("restore", guest.name, "--point", newest["id"], "--as", name)
    copy = ground.guests.find(name)
    for target, form in (("vda", "qcow2"), ("vdb", "raw")):
        truth, got = image_directory / f"{target}.truth", image_directory / f"{target}.got"
        frozen = guest.chain(target)[1]
        convert(frozen, "qcow2", truth)
        convert(copy.disks[target], form, got)
        assert first_difference(truth, got) is None
    assert program.do("unprotect", guest.name, "--delete-data")["status"] == "Completed"
    refused(program, "ItemSoftDeleted", "restore", guest.name, "--point", newest["id"], "--as", "x")
    assert program.do("vault", "show", "main")["items"][0]["deleted_until"] is not None
    assert program.do("undelete", guest.name)["status"] == "Completed"
    assert program.do("point", "delete", guest.name, oldest["id"], "--yes")["deleted_until"] is not None
    assert program.do("point", "undelete", guest.name, oldest["id"])["deleted_until"] is None
    program.do("vault", "update", "main", "--soft-delete", "disabled")
    assert program.do("unprotect", guest.name, "--delete-data")["status"] == "Completed"
    assert [guest.chain(target) for target in guest.disks] == [[path] for path in guest.disks.values()]
    assert program.do("vault", "show", "main")["items"] == []
    stored = sum(
        path.stat().st_size for path in (program.state / "vaults").rglob("packs/**/*") if path.is_file()
    )
    assert stored == 0, "deleted data frees its space"


def test_refusals_have_codes_and_change_nothing(program: Program, ground: Ground) -> None:
    guest = stopped_guest(ground)
    program.do("vault", "create", "main")
    assert guest.name in refused(program, "UserErrorBcmDatasourceNotPresent", "backup", guest.name)
    refused(program, "ResourceNotFound", "backup", "nobody")
    refused(program, "ResourceNotFound", "protect", "nobody", "--vault", "main")
    refused(program, "ResourceNotFound", "protect", guest.name, "--vault", "nowhere")
    program.do("protect", guest.name, "--vault", "main")
    program.do("backup", guest.name, "--wait")
    refused(program, "ResourceNotFound", "restore", guest.name, "--point", "1", "--as", "x")
    refused(program, "ResourceAlreadyExists", "restore", guest.name, "--point", "latest", "--as", guest.name)
    program.do("backup", guest.name)
    message = refused(program, "UserErrorBackupOperationInProgress", "backup", guest.name)
    assert guest.name in message
    program.ended(program.newest_job("Backup"))
    assert len(program.do("points", guest.name)) == 2
    assert program.run("restore", guest.name, "--point", "latest").code == 2
    assert program.run("unprotect", guest.name).code == 2


def test_secrets_are_readable_by_their_owner_only(program: Program) -> None:
    program.do("vault", "create", "main")
    secret = [program.state / "token", *(program.state / "keys").iterdir()]
    secret += [path for path in (program.state / "tls").iterdir() if path.suffix == ".key"]
    secret += list(program.state.glob("*.db"))
    for path in secret:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    log = (program.directory / "service.log").read_text()
    assert (program.state / "token").read_text().strip() not in log


def test_a_polite_stop_is_quick_and_the_job_goes_on_afterwards(program: Program, ground: Ground) -> None:
    spec = DiskSpec("raw", size=600 * MIB, file_system=False)
    guest = ground.guests.make(f"stop-{uuid4().hex[:6]}", [spec], start=False)
    guest.disks["vda"].write_bytes(os.urandom(600 * MIB))
    program.do("vault", "create", "main")
    program.do("protect", guest.name, "--vault", "main")
    job_id = program.do("backup", guest.name)["id"]
    wait_until(lambda: any((program.state / "vaults").glob("*/index/*")), "nothing was stored")
    assert program.stop() == 0
    program.start()
    job = program.ended(job_id)
    assert job["status"] == "Completed", job
    (point,) = program.do("points", guest.name)
    assert point["bytes_stored"] < 550 * MIB, "what was stored before the stop is found again"
