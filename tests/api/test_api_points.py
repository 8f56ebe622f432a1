"""Collections, restore points, locks, groups and the support profile in ARM's shapes."""

from dataclasses import replace

import pytest

from overwinter.model.job import JobError, JobOperation, JobStatus
from overwinter.model.profile import find_profile
from overwinter.model.protection import StackVersion
from tests.api.served import SUBSCRIPTION, VAULT, Served, item_path

VERSION = {"api-version": "2024-11-01"}
GROUP = f"{SUBSCRIPTION}/resourceGroups/AzureBackupRG_local_1"
COLLECTIONS = f"{GROUP}/providers/Microsoft.Compute/restorePointCollections"
COLLECTION = f"{COLLECTIONS}/AzureBackupRG_Web01_1"
LOCKS = "providers/Microsoft.Authorization/locks"
KEEP = {"properties": {"level": "CanNotDelete", "notes": "audit"}}


def test_a_collection_and_its_points(served: Served) -> None:
    (row,) = served.http.get(f"{SUBSCRIPTION}{COLLECTIONS.removeprefix(GROUP)}").json()["value"]
    (same,) = served.http.get(COLLECTIONS).json()["value"]
    assert row == same == served.http.get(COLLECTION).json()
    assert row["id"] == COLLECTION
    assert row["type"] == "Microsoft.Compute/restorePointCollections"
    assert row["properties"]["source"]["id"].endswith(
        "/resourceGroups/default/providers/Microsoft.Compute/virtualMachines/Web01"
    )
    assert "restorePoints" not in row["properties"]
    expanded = served.http.get(
        COLLECTION.upper().replace("AZUREBACKUPRG", "AzureBackupRG"), params={"$expand": "restorePoints"}
    ).json()
    points = expanded["properties"]["restorePoints"]
    assert [point["name"] for point in points] == ["p0", "p1", "p2"]
    point = served.http.get(f"{COLLECTION}/restorePoints/p1").json()
    assert point == points[1]
    assert point["properties"]["consistencyMode"] == "FileSystemConsistent"
    assert point["properties"]["timeCreated"] == "2026-01-02T02:30:00Z"
    disk = point["properties"]["sourceMetadata"]["storageProfile"]["osDisk"]
    assert disk["diskRestorePoint"]["id"] == f"{COLLECTION}/restorePoints/p1/diskRestorePoints/Web01-os"
    seen = served.http.get(f"{COLLECTION}/restorePoints/p1", params={"$expand": "instanceView"}).json()
    assert seen["properties"]["instanceView"]["diskRestorePoints"] == [disk["diskRestorePoint"]]
    assert served.http.get(f"{COLLECTION}/restorePoints/p9").status_code == 404


def test_deletion_is_a_job_that_clients_can_follow(served: Served) -> None:
    for path, deleted in ((COLLECTION, None), (f"{COLLECTION}/restorePoints/p0", "p0")):
        answer = served.http.delete(path)
        assert answer.status_code == 202 and answer.content == b""
        assert served.service.points.deleted[-1] == ("AzureBackupRG_Web01_1", deleted)
        operation = served.http.get(answer.headers["Azure-AsyncOperation"]).json()
        assert operation["status"] == "InProgress"
        served.service.finish(served.service.jobs()[-1])
        assert served.http.get(answer.headers["Azure-AsyncOperation"]).json()["status"] == "Succeeded"
        assert served.http.get(answer.headers["Location"]).status_code == 200
    assert served.http.delete(f"{COLLECTIONS}/none_1").status_code == 204
    assert served.http.delete(f"{COLLECTION}/restorePoints/none").status_code == 204


@pytest.mark.parametrize("scope", [GROUP, COLLECTION])
def test_a_lock_from_beginning_to_end(served: Served, scope: str) -> None:
    path = f"{scope}/{LOCKS}/lk1"
    assert served.http.get(path).status_code == 404
    assert served.http.get(path).json()["error"]["code"] == "LockNotFound"
    made = served.http.put(path, json=KEEP)
    assert made.status_code == 201
    assert made.json() == {
        "id": path,
        "name": "lk1",
        "type": "Microsoft.Authorization/locks",
        "properties": {"level": "CanNotDelete", "notes": "audit", "owners": None},
        "overwinter": made.json()["overwinter"],
    }
    assert served.http.get(path).json() == made.json()
    for level in (SUBSCRIPTION, GROUP, scope):
        assert served.http.get(f"{level}/{LOCKS}").json()["value"] == [made.json()]
    assert served.http.get(f"{COLLECTION}/{LOCKS}").json()["value"] == [made.json()] * (scope == COLLECTION)

    refused = served.http.delete(COLLECTION)
    assert refused.status_code == 409
    assert refused.json()["error"]["code"] == "ScopeLocked"
    assert scope.removeprefix(SUBSCRIPTION) in refused.json()["error"]["message"]
    assert served.service.points.deleted == []

    changed = served.http.put(path, json={"properties": {"level": "readonly"}})
    assert (changed.status_code, changed.json()["properties"]["level"]) == (200, "ReadOnly")
    assert served.http.delete(path).status_code == 200
    assert served.http.delete(path).status_code == 204
    assert served.http.delete(COLLECTION).status_code == 202


@pytest.mark.parametrize("body", [{}, {"properties": {}}, {"properties": {"level": "NotSpecified"}}])
def test_a_lock_needs_a_level(served: Served, body: dict[str, object]) -> None:
    assert served.http.put(f"{GROUP}/{LOCKS}/lk1", json=body).status_code == 400
    assert served.service.points.locks() == []


def test_groups(served: Served) -> None:
    rows = served.http.get(f"{SUBSCRIPTION}/resourcegroups").json()["value"]
    assert [row["name"] for row in rows] == ["AzureBackupRG_local_1", "default"]
    assert served.http.get(GROUP).json() == rows[0]
    assert served.http.head(GROUP).status_code == 204
    assert served.http.head(f"{GROUP}x").status_code == 404
    assert served.http.get(f"{GROUP}x").json()["error"]["code"] == "ResourceGroupNotFound"
    lock = f"{GROUP}x/{LOCKS}/lk1"
    assert served.http.put(lock, json=KEEP).json()["error"]["code"] == "ResourceGroupNotFound"


def test_a_clean_up_is_a_job(served: Served) -> None:
    service = served.service
    service.protect(service.vaults.get("v1"), service.machine("Web01"), "DefaultPolicy")
    answer = served.http.post(f"{item_path('Web01')}/overwinter/cleanUp", json={})
    assert answer.status_code == 202
    assert service.jobs()[-1].operation is JobOperation.CLEAN_UP_POINTS


def test_the_profile_is_shown_and_obeyed(served: Served) -> None:
    shown = served.http.get(SUBSCRIPTION).json()["overwinter"]["supportProfile"]
    assert (shown["name"], shown["disks"][0]["maxDiskBytes"]) == ("overwinter", None)
    served.service.profile = find_profile("2018")
    shown = served.http.get(SUBSCRIPTION).json()["overwinter"]["supportProfile"]
    assert [each["maxDiskBytes"] >> 30 for each in shown["disks"]] == [1023, 4096]
    service = served.service
    service.protect(service.vaults.get("v1"), service.machine("Web01"), "DefaultPolicy")
    served.http.post(f"{item_path('Web01')}/backup", json={})
    # The edition has no code of its own for this.
    again = served.http.post(f"{item_path('Web01')}/backup", json={})
    assert (again.status_code, again.json()["error"]["code"]) == (409, "BackUpOperationFailed")
    job = service.jobs()[-1]
    service.finish(job, JobStatus.FAILED, JobError("ExtentionOperationFailedForManagedDisks", "no"))
    (problem,) = served.http.get(f"{VAULT}/backupJobs/{job.id}").json()["properties"]["errorDetails"]
    assert problem["errorCode"] == 1007
    assert len(problem["overwinter"]["causes"]) == 4
    assert "loaded" in problem["overwinter"]["causes"][1]


def test_the_stack_of_a_vault_goes_up(served: Served) -> None:
    vaults = served.service.vaults
    vaults._vaults["v1"] = replace(vaults.get("v1"), stack=StackVersion.V1)
    assert served.http.get(VAULT).json()["properties"]["backupStorageVersion"] == "V1"
    answer = served.http.post(f"{VAULT}/overwinter/upgradeStack", json={})
    assert answer.json()["properties"]["backupStorageVersion"] == "V2"
