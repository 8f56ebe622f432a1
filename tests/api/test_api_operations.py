"""Long-running operations in the backup dialect, as az and the SDKs follow them."""

from datetime import UTC, datetime
from urllib.parse import urlsplit

import httpx
import pytest

from overwinter.model.job import Job, JobError, JobStatus
from overwinter.model.vault_rules import SoftDelete
from tests.api.served import MACHINES, VAULT, Served, item_path

ITEM = item_path("web01")
PROTECT = {
    "properties": {
        "protectedItemType": "Microsoft.Compute/virtualMachines",
        "policyId": f"{VAULT}/backupPolicies/DefaultPolicy",
        "sourceResourceId": f"{MACHINES}/Web01",
    }
}


def job_of(served: Served, answer: httpx.Response) -> Job:
    """The job a trigger started, found as az finds it: by the last segment of the header."""
    assert (answer.status_code, answer.content) == (202, b""), answer.text
    operation = urlsplit(answer.headers["azure-asyncoperation"]).path.rsplit("/", 1)[-1]
    assert urlsplit(answer.headers["location"]).path.endswith(f"/operationResults/{operation}")
    status = served.http.get(f"{VAULT}/backupOperations/{operation}").json()
    return next(job for job in served.service.jobs() if str(job.id) == status["properties"]["jobId"])


def protected(served: Served) -> None:
    served.service.finish(job_of(served, served.http.put(ITEM, json=PROTECT)))


def test_configure_backup_runs_until_its_job_ends(served: Served) -> None:
    answer = served.http.put(ITEM + "?api-version=2026-08-01", json=PROTECT)
    status_link, result_link = answer.headers["azure-asyncoperation"], answer.headers["location"]
    assert status_link.startswith("https://") and status_link.endswith("?api-version=2026-08-01")
    job = job_of(served, answer)
    running = served.http.get(status_link)
    assert running.json()["status"] == "InProgress"
    assert running.json()["endTime"] == "0001-01-01T00:00:00"
    assert running.headers["retry-after"]
    waiting = served.http.get(result_link)
    assert waiting.status_code == 202 and waiting.headers["location"]

    served.service.finish(job)
    done = served.http.get(status_link).json()
    assert done["status"] == "Succeeded"
    assert done["properties"] == {"objectType": "OperationStatusJobExtendedInfo", "jobId": str(job.id)}
    result = served.http.get(result_link)
    assert result.status_code == 200 and result.json()["name"] == "VM;iaasvmcontainerv2;default;web01"


def test_a_started_backup_is_a_succeeded_operation(served: Served) -> None:
    protected(served)
    answer = served.http.post(ITEM + "/backup", json={"properties": {"objectType": "IaasVMBackupRequest"}})
    job = job_of(served, answer)
    assert not job.status.is_final
    assert served.http.get(f"{VAULT}/backupOperations/{job.id}").json()["status"] == "Succeeded"


def test_a_second_backup_is_refused_at_once(served: Served) -> None:
    protected(served)
    assert served.http.post(ITEM + "/backup").status_code == 202
    answer = served.http.post(ITEM + "/backup")
    assert answer.status_code == 409
    assert answer.json()["error"]["code"] == "UserErrorBackupOperationInProgress"


def test_backup_of_a_stopped_item(served: Served) -> None:
    protected(served)
    body = {"properties": {"policyId": "", "protectionState": "ProtectionStopped", "sourceResourceId": "x"}}
    served.service.finish(job_of(served, served.http.put(ITEM, json=body)))
    assert served.http.get(ITEM).json()["properties"]["protectionState"] == "ProtectionStopped"
    assert served.http.get(ITEM).json()["properties"]["policyName"] == "DefaultPolicy"
    answer = served.http.post(ITEM + "/backup")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "UserErrorBcmDatasourceNotPresent")


def test_delete_is_followed_after_the_item_is_gone(served: Served) -> None:
    protected(served)
    served.service.vaults.set_rules("v1", soft_delete=SoftDelete.DISABLED)
    answer = served.http.delete(ITEM)
    job = job_of(served, answer)
    assert served.http.get(ITEM).status_code == 404
    assert served.http.get(answer.headers["azure-asyncoperation"]).json()["status"] == "InProgress"
    served.service.finish(job)
    assert served.http.get(answer.headers["azure-asyncoperation"]).json()["status"] == "Succeeded"
    assert served.http.get(answer.headers["location"]).status_code == 204


@pytest.mark.parametrize(("end", "word"), [(JobStatus.FAILED, "Failed"), (JobStatus.CANCELLED, "Canceled")])
def test_failed_and_cancelled_operations(served: Served, end: JobStatus, word: str) -> None:
    job = job_of(served, served.http.put(ITEM, json=PROTECT))
    served.service.finish(job, end, JobError("UserErrorVmNotInDesirableState", "The VM is paused."))
    status = served.http.get(f"{VAULT}/backupOperations/{job.id}").json()
    assert status["status"] == word
    if end is JobStatus.FAILED:
        assert status["error"] == {"code": "UserErrorVmNotInDesirableState", "message": "The VM is paused."}


def test_expiry_reaches_the_service_and_the_past_is_refused(served: Served) -> None:
    protected(served)
    body = {"properties": {"recoveryPointExpiryTimeInUTC": "2026-02-01T00:00:00"}}
    assert served.http.post(ITEM + "/backup", json=body).status_code == 400
    body = {"properties": {"recoveryPointExpiryTimeInUTC": "2999-02-01T00:00:00"}}
    assert served.http.post(ITEM + "/backup", json=body).status_code == 202
    assert served.service.expires == datetime(2999, 2, 1, tzinfo=UTC)


def test_cancel(served: Served) -> None:
    protected(served)
    job = job_of(served, served.http.post(ITEM + "/backup"))
    path = f"{VAULT}/backupJobs/{job.id}"
    assert served.http.post(path + "/cancel").status_code == 202
    assert served.http.get(path).json()["properties"]["status"] == "Cancelled"
    again = served.http.post(path + "/cancel")
    assert (again.status_code, again.json()["error"]["code"]) == (409, "UserErrorJobNotCancellable")


def test_a_job_is_found_in_its_vault_only(served: Served) -> None:
    protected(served)
    served.service.vaults.create("v2", "default")
    job = served.service.jobs()[0]
    assert served.http.get(f"{VAULT}/backupJobs/{job.id}").status_code == 200
    assert served.http.get(f"{VAULT[:-1]}2/backupJobs/{job.id}").status_code == 404
    assert served.http.get(f"{VAULT[:-1]}2/backupOperations/{job.id}").status_code == 404


@pytest.mark.parametrize(
    "change",
    [
        {"policyId": None},
        {"policyId": "DefaultPolicy"},
        {"sourceResourceId": f"{MACHINES}/db01"},
        {"sourceResourceId": "/nonsense"},
        {"protectionState": "ProtectionError"},
        {"extendedProperties": {"diskExclusionProperties": {"diskLunList": ["vdb"]}}},
    ],
)
def test_what_cannot_be_protected_so_is_refused(served: Served, change: dict[str, object]) -> None:
    answer = served.http.put(ITEM, json={"properties": {**PROTECT["properties"], **change}})
    assert answer.status_code == 400, answer.text
    assert served.service.jobs() == []


@pytest.mark.parametrize("missing", ["vm", "policy"])
def test_unknown_vm_or_policy(served: Served, missing: str) -> None:
    path = item_path("nobody") if missing == "vm" else ITEM
    change = {"sourceResourceId": None} if missing == "vm" else {"policyId": f"{VAULT}/backupPolicies/none"}
    answer = served.http.put(path, json={"properties": {**PROTECT["properties"], **change}})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "ResourceNotFound")
    assert served.service.jobs() == []
