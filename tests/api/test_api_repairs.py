"""The routes of the doctor's repairs: a plan, and the job that carries it out."""

from overwinter.jobs.repairs import Finding
from overwinter.model.job import JobOperation
from tests.api.served import VAULT, Served, item_path


def test_plan_and_repair(served: Served) -> None:
    vault = served.service.vaults.every()[0]
    machine = served.service.machine("Web01")
    served.service.protect(vault, machine, served.service.policies(vault)[0].name)
    served.service.repairable = [Finding("thaw", "The guest is frozen.", "Thaw it.", "It goes on.")]
    planned = served.http.post(f"{item_path('Web01')}/overwinter/planRepairs")
    assert planned.status_code == 200
    assert planned.json() == {
        "vm": "Web01",
        "repairs": [
            {
                "repair": "thaw",
                "finding": "The guest is frozen.",
                "action": "Thaw it.",
                "touches": "It goes on.",
            }
        ],
    }
    answer = served.http.post(f"{item_path('Web01')}/overwinter/repair")
    assert (answer.status_code, answer.content) == (202, b"")
    job = served.service.jobs()[-1]
    assert job.operation is JobOperation.REPAIR_MACHINE
    operation = served.http.get(f"{VAULT}/backupOperations/{job.id}").json()
    assert operation["properties"]["jobId"] == str(job.id)
    served.service.finish(job)
    done = served.http.get(answer.headers["Location"])
    assert done.status_code == 200 and done.json()["properties"]["friendlyName"] == "Web01"


def test_an_item_that_nobody_knows(served: Served) -> None:
    for action in ("planRepairs", "repair"):
        assert served.http.post(f"{item_path('nobody')}/overwinter/{action}").status_code == 404
