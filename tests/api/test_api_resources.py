"""What the resources look like: the fields without which az and the SDKs fail, and restores."""

import re
from pathlib import Path

import pytest

from overwinter.model.job import Job, JobError, JobStatus
from tests.api.fake_service import START
from tests.api.served import GROUP, MACHINES, SUBSCRIPTION, VAULT, VAULTS, Served, item_path

ITEM = item_path("web01")


@pytest.fixture
def backup(served: Served) -> Job:
    """Web01 is protected and its first backup has failed, with one older point."""
    service = served.service
    service.finish(service.protect(service.vaults.get("v1"), service.machine("Web01"), "DefaultPolicy"))
    service.add_point(service.items()[0], START)
    job = service.backup(service.items()[0], expires=None)
    problem = JobError("UserErrorGuestAgentStatusUnavailable", "No answer within 10 s.")
    service.finish(job, JobStatus.FAILED, problem)
    return job


def test_subscriptions(served: Served) -> None:
    listed = served.http.get("/subscriptions?api-version=2022-12-01").json()
    assert listed["count"] == {"type": "Total", "value": 1}
    row = listed["value"][0]
    assert (row["id"], row["state"]) == (SUBSCRIPTION, "Enabled")
    assert row["tenantId"] and row["displayName"]
    assert served.http.get(SUBSCRIPTION).json() == row


def test_machines(served: Served) -> None:
    listed = served.http.get(MACHINES).json()["value"]
    assert [row["name"] for row in listed] == ["Web01", "db01"]
    everywhere = served.http.get(f"{SUBSCRIPTION}/providers/Microsoft.Compute/virtualMachines")
    assert everywhere.json()["value"] == listed
    vm = served.http.get(f"{MACHINES}/web01").json()
    assert vm == listed[0] and "instanceView" not in vm["properties"]
    assert (vm["id"], vm["location"]) == (f"{MACHINES}/Web01", "local")
    storage = vm["properties"]["storageProfile"]
    assert storage["osDisk"]["name"] == "Web01-os" and storage["osDisk"]["diskSizeGB"] == 1
    assert [(disk["lun"], disk["name"]) for disk in storage["dataDisks"]] == [(0, "Web01-d0")]
    view = served.http.get(f"{MACHINES}/Web01?$expand=instanceView").json()["properties"]["instanceView"]
    assert view["vmAgent"]["statuses"][0]["displayStatus"] == "Ready"
    assert view["vmAgent"]["overwinter"] == {"state": "Ready", "lastSeen": "2026-01-01T12:00:00Z"}
    assert {"code": "PowerState/running", "level": "Info", "displayStatus": "VM running"} in view["statuses"]
    assert served.http.get(f"{MACHINES}/Web01/instanceView").json()["osName"] == view["osName"]


def test_vault_life(served: Served) -> None:
    path = f"{VAULTS}/main-2"
    assert served.http.get(path).status_code == 404
    body = {"location": "local", "sku": {"name": "Standard"}, "properties": {"unknown": True}}
    made = served.http.put(path, json=body)
    assert (made.status_code, made.json()["properties"]["provisioningState"]) == (201, "Succeeded")
    assert served.http.put(path, json=body).status_code == 200
    assert served.http.put(path.replace("/default/", "/lab/"), json=body).status_code == 409
    names = [row["name"] for row in served.http.get(VAULTS).json()["value"]]
    assert names == ["v1", "main-2"]
    assert served.http.delete(path).status_code == 204
    assert served.http.get(path).status_code == 404


@pytest.mark.parametrize("name", ["a", "1abc", "a_b", "x" * 51, "a;b", "..", "%2e%2e%2fx", "a%00b", "ü1"])
def test_vault_names_that_cannot_be(served: Served, name: str) -> None:
    assert served.http.put(f"{VAULTS}/{name}", json={}).status_code in (400, 404, 405)
    assert [vault.name for vault in served.service.vaults.every()] == ["v1"]


def test_vault_elsewhere_or_not_empty(served: Served, backup: Job) -> None:
    assert served.http.put(f"{VAULTS}/v9", json={"location": "westeurope"}).status_code == 400
    answer = served.http.delete(VAULT)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "VaultNotEmpty")
    # az goes on with --force only when it reads these words.
    assert "existing resources within the vault" in answer.json()["error"]["message"]


def test_policies(served: Served, backup: Job) -> None:
    listed = served.http.get(f"{VAULT}/backupPolicies").json()["value"]
    assert [row["name"] for row in listed] == ["DefaultPolicy", "EnhancedPolicy"]
    assert [row["properties"]["protectedItemsCount"] for row in listed] == [1, 0]
    assert all(row["properties"]["backupManagementType"] == "AzureIaasVM" for row in listed)
    assert served.http.get(f"{VAULT}/backuppolicies/defaultpolicy").json() == listed[0]
    assert served.http.delete(f"{VAULT}/backupPolicies/DefaultPolicy").status_code == 400
    assert served.http.delete(f"{VAULT}/backupPolicies/EnhancedPolicy").status_code == 200
    assert served.http.delete(f"{VAULT}/backupPolicies/EnhancedPolicy").status_code == 404


def policy(**change: object) -> dict[str, object]:
    properties: dict[str, object] = {
        "backupManagementType": "AzureIaasVM",
        "policyType": "V1",
        "instantRpRetentionRangeInDays": 2,
        "schedulePolicy": {"scheduleRunFrequency": "Daily", "scheduleRunTimes": ["2026-01-01T02:30:00Z"]},
        "retentionPolicy": {"dailySchedule": {"retentionDuration": {"count": 30, "durationType": "Days"}}},
        "overwinter": {"requiredConsistency": "FileSystemConsistent"},
    }
    return {"properties": {**properties, **change}}


def test_required_consistency_is_kept(served: Served) -> None:
    answer = served.http.put(f"{VAULT}/backupPolicies/strict", json=policy())
    assert answer.json()["properties"]["overwinter"]["requiredConsistency"] == "FileSystemConsistent"
    made = served.service.policy(served.service.vaults.get("v1"), "strict")
    assert made.required_consistency.value == "FileSystemConsistent"
    assert [rule.count for rule in made.content.rules] == [30]


@pytest.mark.parametrize(
    "change",
    [
        {"policyType": "V2"},
        {"backupManagementType": "AzureStorage"},
        {"instantRpRetentionRangeInDays": 6},
        {"instantRpRetentionRangeInDays": 0},
        {"schedulePolicy": {"scheduleRunFrequency": "Weekly", "scheduleRunTimes": ["2026-01-01T02:30:00Z"]}},
        {"schedulePolicy": {"scheduleRunFrequency": "Daily", "scheduleRunTimes": []}},
        {"schedulePolicy": None},
        {"retentionPolicy": {"dailySchedule": {"retentionDuration": {"count": 3, "durationType": "Weeks"}}}},
        {"retentionPolicy": {}},
        {"tieringPolicy": {"ArchivedRP": {"tieringMode": "TierAfter", "duration": 3}}},
        {"overwinter": {"requiredConsistency": "Hope"}},
    ],
)
def test_policies_that_cannot_be(served: Served, change: dict[str, object]) -> None:
    answer = served.http.put(f"{VAULT}/backupPolicies/odd-one", json=policy(**change))
    assert answer.status_code == 400, answer.text
    assert served.http.get(f"{VAULT}/backupPolicies/odd-one").status_code == 404


def test_backups_of_a_schedule_are_told_from_those_of_people(served: Served, backup: Job) -> None:
    by_person = served.http.get(f"{VAULT}/backupJobs/{backup.id}").json()["properties"]
    assert by_person["isUserTriggered"] is True
    served.service.make_scheduled(backup)
    by_schedule = served.http.get(f"{VAULT}/backupJobs/{backup.id}").json()["properties"]
    assert by_schedule["isUserTriggered"] is False


def test_item_has_what_az_needs(served: Served, backup: Job) -> None:
    listed = served.http.get(f"{VAULT}/backupProtectedItems").json()["value"]
    item = served.http.get(ITEM).json()
    assert listed == [item]
    known = item["properties"]
    assert item["id"] == ITEM and item["name"] == "VM;iaasvmcontainerv2;default;web01"
    needed = ["lastBackupStatus", "lastRecoveryPoint", "containerName", "workloadType", "virtualMachineId"]
    assert all(name in known for name in needed)
    assert known["protectedItemType"] == "Microsoft.Compute/virtualMachines"
    assert known["sourceResourceId"] == f"{MACHINES}/Web01"
    assert known["policyId"] == f"{VAULT}/backupPolicies/DefaultPolicy"
    (health,) = known["healthDetails"]
    assert isinstance(health["code"], int) and isinstance(health["recommendations"], list)
    assert health["title"] == "UserErrorGuestAgentStatusUnavailable"


def test_item_never_backed_up(served: Served) -> None:
    service = served.service
    service.protect(service.vaults.get("v1"), service.machine("Web01"), "DefaultPolicy")
    known = served.http.get(ITEM).json()["properties"]
    assert (known["protectionState"], known["lastBackupStatus"]) == ("IRPending", "")
    assert (known["lastBackupTime"], known["lastRecoveryPoint"]) == ("2001-01-01T00:00:00Z", None)


def test_containers_protectables_and_status(served: Served, backup: Job) -> None:
    query = {"$filter": "friendlyName eq 'web01' and status eq 'Registered'"}
    (container,) = served.http.get(f"{VAULT}/backupProtectionContainers", params=query).json()["value"]
    assert container["properties"]["registrationStatus"] == "Registered"
    assert ITEM.startswith(container["id"])
    (free,) = served.http.get(f"{VAULT}/backupProtectableItems").json()["value"]
    assert free["name"] == "iaasvmcontainerv2;default;db01"
    assert "/resourceGroups/default/" in free["properties"]["virtualMachineId"]
    status = f"{SUBSCRIPTION}/providers/Microsoft.RecoveryServices/locations/local/backupStatus"
    answer = served.http.post(status, json={"resourceType": "VM", "resourceId": f"{MACHINES}/Web01"}).json()
    assert (answer["protectionStatus"], answer["vaultId"]) == ("Protected", VAULT)
    answer = served.http.post(status, json={"resourceType": "VM", "resourceId": f"{MACHINES}/db01"}).json()
    assert (answer["protectionStatus"], answer["vaultId"]) == ("NotProtected", None)


def test_recovery_points(served: Served, backup: Job) -> None:
    (row,) = served.http.get(f"{ITEM}/recoveryPoints").json()["value"]
    point = served.http.get(f"{ITEM}/recoveryPoints/{row['name']}").json()
    assert row["name"].isdecimal()
    known = point["properties"]
    assert known["objectType"] == "IaasVMRecoveryPoint"
    assert known["recoveryPointType"] == "FileSystemConsistent"
    assert known["isManagedVirtualMachine"] is True and known["originalStorageAccountOption"] is False
    assert [tier["type"] for tier in known["recoveryPointTierDetails"]] == ["InstantRP", "HardenedRP"]
    disks = known["recoveryPointDiskConfiguration"]["includedDiskList"]
    assert [(disk["lun"], disk["name"]) for disk in disks] == [(-1, "Web01-os"), (0, "Web01-d0")]
    filters = {"$filter": "endDate eq '2026-01-31 12:00:00 AM' and startDate eq '2026-01-01 12:00:00 AM'"}
    assert len(served.http.get(f"{ITEM}/recoveryPoints", params=filters).json()["value"]) == 1
    filters = {"$filter": "startDate eq '2026-01-31 12:00:00 AM'"}
    assert served.http.get(f"{ITEM}/recoveryPoints", params=filters).json()["value"] == []
    for unknown in ("1", "abc", "%00", "١"):
        assert served.http.get(f"{ITEM}/recoveryPoints/{unknown}").status_code == 404


def test_jobs(served: Served, backup: Job) -> None:
    row = served.http.get(f"{VAULT}/backupJobs").json()["value"][0]
    job = served.http.get(f"{VAULT}/backupJobs/{str(backup.id).upper()}").json()
    assert job["id"] == row["id"] == f"{VAULT}/backupJobs/{backup.id}"
    known = job["properties"]
    assert (known["jobType"], known["status"]) == ("AzureIaaSVMJob", "Failed")
    assert known["duration"] == "PT1M31.78S"
    (problem,) = known["errorDetails"]
    assert isinstance(problem["errorCode"], int) and problem["recommendations"]
    assert problem["errorTitle"] == "UserErrorGuestAgentStatusUnavailable"
    assert problem["errorString"] == "No answer within 10 s."
    tasks = known["extendedInfo"]["tasksList"]
    assert [task["taskId"] for task in tasks] == ["Take Snapshot", "Transfer data to vault"]
    assert all(isinstance(value, str) for value in known["extendedInfo"]["propertyBag"].values())


def test_a_running_job_has_no_end(served: Served, backup: Job) -> None:
    job = served.service.backup(served.service.items()[0], expires=None)
    served.service.advance(job, 3 << 28)
    known = served.http.get(f"{VAULT}/backupJobs/{job.id}").json()["properties"]
    assert "endTime" not in known and known["actionsInfo"] == [1]
    transfer = known["extendedInfo"]["tasksList"][1]
    assert transfer["progressPercentage"] == 25.0
    moved = transfer["overwinter"]
    assert (moved["done"], moved["total"]) == (3 << 28, 3 << 30) and moved["bytesPerSecond"] > 0
    assert re.fullmatch(r"PT(\d+H)?(\d+M)?[\d.]+S", known["extendedInfo"]["estimatedRemainingDuration"])


def restore(**properties: object) -> dict[str, object]:
    return {"properties": {"objectType": "IaasVMRestoreRequest", "sourceResourceId": "x", **properties}}


def test_restore_disks_and_as_vm(served: Served, backup: Job, tmp_path: Path) -> None:
    (row,) = served.http.get(f"{ITEM}/recoveryPoints").json()["value"]
    path = f"{ITEM}/recoveryPoints/{row['name']}/restore"
    body = restore(recoveryType="restoredisks", overwinter={"targetDirectory": str(tmp_path)})
    assert served.http.post(path, json=body).status_code == 202
    assert served.service.jobs()[-1].parameters == {"directory": str(tmp_path)}
    body = restore(recoveryType="AlternateLocation", targetVirtualMachineId=f"{MACHINES}//New1")
    assert served.http.post(path, json=body).status_code == 202
    assert served.service.jobs()[-1].parameters == {"vm_name": "New1", "directory": None, "start": False}
    answer = served.http.post(path, json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "ResourceAlreadyExists")


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"recoveryType": "Offline"},
        {"recoveryType": "OriginalLocation"},
        {"recoveryType": "RestoreDisks"},
        {"recoveryType": "RestoreDisks", "overwinter": {"targetDirectory": "relative"}},
        {"recoveryType": "RestoreDisks", "overwinter": {"targetDirectory": "/a/../../etc"}},
        {"recoveryType": "RestoreDisks", "overwinter": {"targetDirectory": "/a\u0000b"}},
        {"recoveryType": "RestoreDisks", "overwinter": {"targetDirectory": "/a"}, "restoreDiskLunList": []},
        {"recoveryType": "AlternateLocation"},
        {"recoveryType": "AlternateLocation", "targetVirtualMachineId": "New1"},
        {"recoveryType": "AlternateLocation", "targetVirtualMachineId": f"{GROUP}/disks/New1"},
        {"recoveryType": "AlternateLocation", "targetVirtualMachineId": f"{MACHINES}/.."},
        {"recoveryType": "AlternateLocation", "targetVirtualMachineId": f"{MACHINES}/a\nb"},
    ],
)
def test_restores_that_cannot_be(served: Served, backup: Job, asked: dict[str, object]) -> None:
    (row,) = served.http.get(f"{ITEM}/recoveryPoints").json()["value"]
    jobs = len(served.service.jobs())
    answer = served.http.post(f"{ITEM}/recoveryPoints/{row['name']}/restore", json=restore(**asked))
    assert answer.status_code == 400, answer.text
    assert len(served.service.jobs()) == jobs
    is_missing = asked.get("recoveryType") == "OriginalLocation" or "restoreDiskLunList" in asked
    assert (answer.json()["error"]["code"] == "NotImplemented") == is_missing
