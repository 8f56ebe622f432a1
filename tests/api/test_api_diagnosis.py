"""What is behind a job's errors: as an action on the job, in its errors, in its item's health."""

from overwinter.codebook import book
from overwinter.codebook.texts import Names, texts_in
from overwinter.model.job import PENDING
from tests.api.failures import CODE, failed_backup
from tests.api.served import MACHINES, VAULT, Served, item_path


def test_the_diagnosis_of_a_job(served: Served) -> None:
    job = failed_backup(served.service)
    answer = served.http.post(f"{VAULT}/backupJobs/{job.id}/overwinter/doctor")
    assert answer.status_code == 200
    found = answer.json()
    assert (found["job"], found["vm"], found["operation"]) == (str(job.id), "Web01", "Backup")
    assert (found["taken"], found["pending"]) == ("2026-05-20T11:45:00Z", False)
    (problem,) = found["problems"]
    assert (problem["code"], problem["message"]) == (CODE, "Disk vda cannot be read.")
    away, damaged = problem["causes"]
    assert (away["id"], away["verdict"], away["verdictText"]) == ("C-IMAGE-AWAY", "confirmed", "confirmed")
    assert away["evidence"] == [
        {
            "check": "D7",
            "title": "The disks' files are there, and are images",
            "status": "fail",
            "reason": "Those of vda are gone, or cannot be read.",
        }
    ]
    assert [remedy["id"] for remedy in away["remedies"]] == ["S-IMAGE-THERE"]
    assert away["remedies"][0]["actor"] == "host" and away["remedies"][0]["repair"] is None
    assert (damaged["id"], damaged["verdict"]) == ("C-IMAGE-DAMAGED", "ruledOut")


def test_a_job_that_nobody_looked_into(served: Served) -> None:
    job = failed_backup(served.service, diagnosed=False)
    found = served.http.post(f"{VAULT}/backupJobs/{job.id}/overwinter/doctor").json()
    assert found["taken"] is None
    causes = found["problems"][0]["causes"]
    assert [(cause["id"], cause["verdict"]) for cause in causes] == [
        ("C-IMAGE-AWAY", "open"),
        ("C-IMAGE-DAMAGED", "open"),
    ]
    assert causes[0]["why"] == "Nobody looked when it failed."


def test_jobs_that_do_not_exist(served: Served) -> None:
    for job in ("no-id", "00000000-0000-0000-0000-000000000000"):
        assert served.http.post(f"{VAULT}/backupJobs/{job}/overwinter/doctor").status_code == 404


def test_errors_and_health_recommend_what_mends_the_confirmed_cause(served: Served) -> None:
    job = failed_backup(served.service)
    entry, texts = book.find(CODE), texts_in("sv")
    assert entry is not None
    names = Names("Web01", "v1", str(job.id))
    cause = book.causes()["C-IMAGE-AWAY"]
    wanted = [texts.remedy(remedy, names) for remedy in (*cause.remedies, *entry.remedies)]
    headers = {"Accept-Language": "sv"}
    shown = served.http.get(f"{VAULT}/backupJobs/{job.id}", headers=headers).json()["properties"]
    (problem,) = shown["errorDetails"]
    assert problem["recommendations"] == wanted
    assert problem["overwinter"]["causes"] == [texts.cause(cause)]
    assert len(problem["overwinter"]["diagnosis"]) == 2
    assert shown["overwinter"]["diagnosis"] == {"pending": False, "taken": "2026-05-20T11:45:00Z"}
    item = served.http.get(item_path("Web01"), headers=headers).json()["properties"]
    (health,) = item["healthDetails"]
    assert (health["code"], health["title"], health["recommendations"]) == (entry.number, CODE, wanted)
    assert item["healthStatus"] == entry.health.value


def test_a_job_that_is_being_looked_into(served: Served) -> None:
    job = served.service.diagnose(failed_backup(served.service, diagnosed=False), PENDING)
    shown = served.http.get(f"{VAULT}/backupJobs/{job.id}").json()["properties"]
    assert shown["overwinter"]["diagnosis"] == {"pending": True, "taken": None}
    assert shown["errorDetails"][0]["recommendations"]


def test_the_examination_of_a_vm_tells_of_its_last_failure(served: Served) -> None:
    assert served.http.post(f"{MACHINES}/Web01/overwinter/doctor").json()["lastFailure"] is None
    job = served.doctor.failed = failed_backup(served.service)
    last = served.http.post(f"{MACHINES}/Web01/overwinter/doctor").json()["lastFailure"]
    assert last == served.http.post(f"{VAULT}/backupJobs/{job.id}/overwinter/doctor").json()
