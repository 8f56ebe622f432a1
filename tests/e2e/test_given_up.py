"""A job whose workflow has ended without it is closed at the next start, or it would block its VM."""

import sqlite3
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pytest

from testkit.disks import MIB, DiskSpec
from testkit.ground import Ground
from testkit.program import Program

pytestmark = pytest.mark.libvirt


def test_a_job_whose_work_was_given_up_ends(ground: Ground, image_directory: Path) -> None:
    disk = DiskSpec("qcow2", size=64 * MIB, file_system=False)
    guest = ground.guests.make(f"given-up-{uuid4().hex[:6]}", [disk], start=False)
    program = Program(image_directory / "overwinter")
    program.start()
    program.do("vault", "create", "vault1")
    program.do("protect", guest.name, "--vault", "vault1")
    program.do("backup", guest.name, "--wait")
    job_id = program.newest_job("Backup")
    program.stop()
    with closing(sqlite3.connect(program.state / "catalog.db")) as catalog:
        rows = catalog.execute(
            "UPDATE jobs SET status = 'InProgress', ended = NULL WHERE operation = 'Backup'"
        )
        assert rows.rowcount == 1
        catalog.commit()
    program.start()
    job = program.ended(job_id)
    assert job["status"] == "Failed" and job["errors"][0]["code"] == "BackUpOperationFailed"
    assert program.do("backup", guest.name, "--wait")["status"] == "Completed"
    program.stop()
    ground.guests.remove(guest)
