"""``overwinter doctor --job``, and what a failed job tells of its causes."""

import json
import threading

from click.testing import Result
from typer.testing import CliRunner

from overwinter.cli.main import app
from overwinter.codebook.texts import texts_in
from overwinter.model.job import PENDING
from tests.api.failures import CODE, failed_backup
from tests.api.served import Served

CONFIRMED = "✓ C-IMAGE-AWAY (confirmed): The image file is gone, or may not be read."
RULED_OUT = "✗ C-IMAGE-DAMAGED (ruled out): The image file is damaged."


def run(served: Served, *words: str) -> Result:
    return CliRunner().invoke(app, [*words, "--dir", str(served.directory)])


def lines(result: Result) -> list[str]:
    return [" ".join(line.split()) for line in result.stdout.splitlines()]


def test_a_job(served: Served) -> None:
    job = failed_backup(served.service)
    shown = run(served, "doctor", "--job", str(job.id))
    assert shown.exit_code == 0, shown.output
    found = lines(shown)
    assert found[0].startswith("What is behind it: Backup of Web01, Failed, 2026-01-01")
    assert found[2] == f"{CODE}: A disk image cannot be used"
    place = found.index(CONFIRMED)
    assert found[place + 1] == "D7: Those of vda are gone, or cannot be read."
    assert found.index(RULED_OUT) > place
    assert found[-1].startswith("→ ")


def test_json_and_another_language(served: Served) -> None:
    job = failed_backup(served.service)
    shown = run(served, "doctor", "--job", str(job.id), "--json", "--lang", "hu")
    (problem,) = json.loads(shown.stdout)["problems"]
    entry_texts = texts_in("hu").tables["causes"]
    assert [cause["id"] for cause in problem["causes"]] == ["C-IMAGE-AWAY", "C-IMAGE-DAMAGED"]
    assert problem["causes"][0]["text"] == entry_texts["C-IMAGE-AWAY"]
    assert run(served, "doctor", "--job", str(job.id), "--lang", "tlh").exit_code == 2


def test_a_vm_or_a_job(served: Served) -> None:
    assert run(served, "doctor").exit_code == 2
    assert run(served, "doctor", "Web01", "--job", "x").exit_code == 2
    assert "ResourceNotFound" in run(served, "doctor", "--job", "x").output


def test_the_last_failure_of_a_vm(served: Served) -> None:
    served.doctor.failed = failed_backup(served.service)
    found = lines(run(served, "doctor", "db01"))
    assert CONFIRMED in found and found.index(CONFIRMED) > found.index(
        "db01: ok 1, warning 0, failed 0, unknown 0."
    )


def test_a_failed_job_shows_its_causes(served: Served) -> None:
    job = failed_backup(served.service)
    found = lines(run(served, "job", "show", str(job.id)))
    place = found.index("✓ The image file is gone, or may not be read.")
    assert found[place + 1] == "D7: Those of vda are gone, or cannot be read."
    assert not any("is damaged" in line for line in found)


def test_who_waits_for_a_job_waits_for_the_reason_too(served: Served) -> None:
    job = served.service.diagnose(failed_backup(served.service, diagnosed=False), PENDING)
    done: list[Result] = []
    waiting = threading.Thread(target=lambda: done.append(run(served, "job", "wait", str(job.id))))
    waiting.start()
    served.service.wait_until_seen(job)
    served.service.diagnose(job, {"taken": None, "problems": []})
    waiting.join(20)
    assert not waiting.is_alive() and done[0].exit_code == 1
