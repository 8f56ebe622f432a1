"""``overwinter doctor --fix``: the plan, the question, the job, what was mended and what not."""

import json
import os
import pty
import subprocess
import sys
import threading

import pytest
from click.testing import Result
from typer.testing import CliRunner

from overwinter.cli.main import app
from overwinter.jobs.repairs import Finding
from overwinter.model.job import JobError, JobOperation, JobStatus
from testkit.waiting import wait_until
from tests.api.fake_service import FakeService
from tests.api.served import Served

FROZEN = Finding("thaw", "The guest is frozen.", "Thaw it.", "It goes on.")
THAWED = {"repair": "thaw", "finding": "The guest is frozen.", "action": "Thaw it.", "failure": None}
NOT_THAWED = {**THAWED, "failure": "It did not answer."}


@pytest.fixture
def service(served: Served) -> FakeService:
    """With a VM that is protected, and one thing to mend."""
    served.service.auto_finish = True
    run(served, "protect", "Web01", "--vault", "v1")
    served.service.repairable = [FROZEN]
    served.service.report = {"repairs": [THAWED]}
    return served.service


def run(served: Served, *words: str) -> Result:
    return CliRunner().invoke(app, [*words, "--dir", str(served.directory)])


def jobs(service: FakeService) -> list[JobOperation]:
    return [job.operation for job in service.jobs()]


def test_what_was_planned_is_mended_and_told(served: Served, service: FakeService) -> None:
    done = run(served, "doctor", "Web01", "--fix", "--yes")
    assert done.exit_code == 0, done.output
    assert "Web01 in vault v1: this can be mended." in done.stdout
    assert "1. The guest is frozen.\n   Repair thaw: Thaw it.\n   It goes on." in done.stdout
    assert any(line.split()[:2] == ["✓", "thaw"] for line in done.stdout.splitlines())
    (job,) = (job for job in service.jobs() if job.operation is JobOperation.REPAIR_MACHINE)
    shown = run(served, "job", "show", str(job.id))
    assert shown.exit_code == 0 and "The guest is frozen." in shown.stdout and "mended" in shown.stdout


def test_what_was_not_mended_is_a_failure(served: Served, service: FakeService) -> None:
    service.report = {"repairs": [NOT_THAWED]}
    service.auto_finish = False
    threading.Thread(target=_end_with_a_warning, args=[service]).start()
    done = run(served, "doctor", "Web01", "--fix", "--yes")
    assert done.exit_code == 1
    assert "CompletedWithWarnings" in done.stdout and "RepairFailed" in done.stdout
    assert any(line.split()[:2] == ["✗", "thaw"] for line in done.stdout.splitlines())


def _end_with_a_warning(service: FakeService) -> None:
    wait_until(lambda: JobOperation.REPAIR_MACHINE in jobs(service), "no job", 20)
    job = service.jobs()[-1]
    problem = JobError("RepairFailed", "It did not help.")
    service.finish(job, JobStatus.COMPLETED_WITH_WARNINGS, problem)


def test_nothing_to_mend(served: Served, service: FakeService) -> None:
    service.repairable = []
    done = run(served, "doctor", "Web01", "--fix", "--yes")
    assert (done.exit_code, done.stdout) == (0, "Web01: nothing that could be mended was found.\n")
    found = json.loads(run(served, "doctor", "Web01", "--fix", "--yes", "--json").stdout)
    assert (found["job"], found["plan"], found["repairs"]) == (None, [], [])
    assert JobOperation.REPAIR_MACHINE not in jobs(service)


def test_json_is_one_document(served: Served, service: FakeService) -> None:
    found = json.loads(run(served, "doctor", "Web01", "--fix", "--yes", "--json").stdout)
    assert found["plan"][0] == vars(FROZEN)
    assert (found["repairs"], found["status"]) == ([THAWED], "Completed")


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_without_a_terminal_nobody_is_asked(served: Served, service: FakeService, more: list[str]) -> None:
    done = run(served, "doctor", "Web01", "--fix", *more)
    assert done.exit_code == 2 and "There is nobody to ask: give --yes as well." in done.stderr
    assert JobOperation.REPAIR_MACHINE not in jobs(service)


def test_a_vm_without_protection_has_nobody_to_mend_it(served: Served, service: FakeService) -> None:
    done = run(served, "doctor", "db01", "--fix", "--yes")
    assert done.exit_code == 1 and "is not protected in any vault" in done.stderr


@pytest.mark.parametrize(("answer", "status"), [("y", 0), ("n", 1)])
def test_a_person_is_asked(served: Served, service: FakeService, answer: str, status: int) -> None:
    command = [sys.executable, "-m", "overwinter.cli.main", "doctor", "Web01", "--fix"]
    ours, theirs = pty.openpty()
    os.write(ours, f"{answer}\n".encode())
    done = subprocess.run(
        [*command, "--dir", str(served.directory)], stdin=theirs, capture_output=True, text=True, check=False
    )
    os.close(ours)
    os.close(theirs)
    assert done.returncode == status, done
    assert "Do this to Web01?" in done.stderr and "The guest is frozen." in done.stdout
    assert (JobOperation.REPAIR_MACHINE in jobs(service)) == (answer == "y")


def test_a_backup_that_was_mended_says_that_it_was_tried_again(served: Served, service: FakeService) -> None:
    service.report = {"repairs": [THAWED], "tried_again": True}
    run(served, "backup", "Web01", "--wait")
    (job,) = (job for job in service.jobs() if job.operation is JobOperation.BACKUP)
    assert "Then it was tried once more." in run(served, "job", "show", str(job.id)).stdout
