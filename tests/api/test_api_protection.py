"""The life of protection as ARM clients see it: states, deletion, chosen disks, rules of vaults."""

from datetime import timedelta

import pytest

from overwinter.model.disk_selection import DiskSelection
from overwinter.model.job import JobOperation
from overwinter.model.protection import ProtectionState
from overwinter.model.vault_rules import Immutability, SoftDelete, VaultRules
from tests.api.fake_service import START
from tests.api.served import MACHINES, VAULT, Served, item_path

ITEM = item_path("web01")
TYPE = "Microsoft.Compute/virtualMachines"


def protect(served: Served, disks: dict[str, object] | None = None) -> dict[str, object]:
    """PUT the item as az does, and give its properties."""
    properties: dict[str, object] = {
        "protectedItemType": TYPE,
        "policyId": f"{VAULT}/backupPolicies/DefaultPolicy",
        "sourceResourceId": f"{MACHINES}/Web01",
    }
    if disks is not None:
        properties["extendedProperties"] = {"diskExclusionProperties": disks}
    assert served.http.put(ITEM, json={"properties": properties}).status_code == 202
    return item(served)


def item(served: Served) -> dict[str, object]:
    return dict(served.http.get(ITEM).json()["properties"])


def put_state(served: Served, state: str, **more: object) -> int:
    body = {"protectedItemType": TYPE, "policyId": "", "protectionState": state, **more}
    return served.http.put(ITEM, json={"properties": body}).status_code


@pytest.mark.parametrize(
    ("asked", "state"),
    [("ProtectionStopped", ProtectionState.STOPPED), ("BackupsSuspended", ProtectionState.SUSPENDED)],
)
def test_stop_and_suspend(served: Served, asked: str, state: ProtectionState) -> None:
    protect(served)
    assert put_state(served, asked) == 202
    assert served.service.items()[0].state is state
    shown = item(served)
    assert (shown["protectionState"], shown["policyName"]) == (asked, "DefaultPolicy")


def test_deleted_data_is_still_shown_and_comes_back(served: Served) -> None:
    protect(served)
    assert served.http.delete(ITEM).status_code == 202
    shown = item(served)
    assert shown["protectionState"] == "ProtectionStopped"
    assert shown["isScheduledForDeferredDelete"] is True
    assert shown["deferredDeleteTimeInUTC"] == (START + timedelta(days=14)).isoformat().replace("+00:00", "Z")
    assert shown["isDeferredDeleteScheduleUpcoming"] is True, "that date has passed long ago"
    assert put_state(served, "ProtectionStopped", isRehydrate=True) == 202
    shown = item(served)
    assert (shown["isScheduledForDeferredDelete"], shown["deferredDeleteTimeInUTC"]) == (False, None)
    operations = [job.operation for job in served.service.jobs()]
    assert operations[-2:] == [JobOperation.DELETE_BACKUP_DATA, JobOperation.UNDELETE]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"diskLunList": ["0"], "isInclusionList": False}, DiskSelection((0,), included=False)),
        ({"diskLunList": [], "isInclusionList": True}, DiskSelection((), included=True)),
        ({"diskLunList": ["1", 1], "isInclusionList": "true"}, DiskSelection((1,), included=True)),
    ],
)
def test_disks_are_chosen_and_stay_chosen(
    served: Served, asked: dict[str, object], expected: DiskSelection
) -> None:
    shown = protect(served, asked)
    assert served.service.items()[0].disks == expected
    assert shown["extendedProperties"]["diskExclusionProperties"] == {  # type: ignore[index]
        "diskLunList": list(expected.luns),
        "isInclusionList": expected.included,
    }
    protect(served)  # another PUT that does not speak of disks
    assert served.service.items()[0].disks == expected


def test_a_point_tells_which_disks_it_lacks(served: Served) -> None:
    protect(served)
    point = served.service.add_point(served.service.items()[0], START)
    shown = served.http.get(f"{ITEM}/recoveryPoints/{point.id}").json()["properties"]
    disks = shown["recoveryPointDiskConfiguration"]
    assert (disks["numberOfDisksIncludedInBackup"], disks["numberOfDisksAttachedToVm"]) == (2, 3)
    assert [(disk["lun"], disk["name"]) for disk in disks["excludedDiskList"]] == [(1, "Web01-d1")]


def test_a_point_is_deleted_and_comes_back(served: Served) -> None:
    protect(served)
    old, new = (
        served.service.add_point(served.service.items()[0], START + timedelta(days=day)) for day in (0, 1)
    )
    address = f"{ITEM}/recoveryPoints/{old.id}"
    assert served.http.delete(f"{ITEM}/recoveryPoints/{new.id}").json()["error"]["code"] == "NewestPointStays"
    dry = served.http.delete(address, params={"dryRun": "true"}).json()
    assert dry["properties"]["recoveryPointProperties"]["isSoftDeleted"] is False
    deleted = served.http.delete(address).json()
    assert deleted["properties"]["recoveryPointProperties"]["isSoftDeleted"] is True
    assert deleted == served.http.get(f"{ITEM}/recoveryPoints").json()["value"][1]
    back = served.http.post(f"{address}/overwinter/undelete").json()
    assert back["properties"]["recoveryPointProperties"]["isSoftDeleted"] is False
    assert served.http.delete(f"{ITEM}/recoveryPoints/99").status_code == 404


def test_rules_by_the_vault(served: Served) -> None:
    read = served.http.get(VAULT).json()["properties"]["securitySettings"]
    assert read["softDeleteSettings"]["softDeleteState"] == "Enabled"
    # As az does: it sends back what it read, with its changes.
    read["softDeleteSettings"]["softDeleteRetentionPeriodInDays"] = 30
    read["immutabilitySettings"] = {"state": "unlocked", "configuration": {"type": "AsPerPolicy"}}
    answer = served.http.patch(VAULT, json={"properties": {"securitySettings": read}})
    assert answer.status_code == 200
    assert answer.json()["properties"]["securitySettings"]["immutabilitySettings"] == {
        "state": "Unlocked",
        "configuration": {"type": "AsPerPolicy"},
    }
    vault = served.service.vaults.get("v1")
    assert vault.rules == VaultRules(SoftDelete.ENABLED, 30, Immutability.UNLOCKED)


def test_rules_by_the_backup_config(served: Served) -> None:
    address = f"{VAULT}/backupconfig/vaultconfig"
    body = {"properties": {"softDeleteFeatureState": "AlwaysOn", "softDeleteRetentionPeriodInDays": 20}}
    changed = served.http.patch(address, json=body)
    assert changed.json() == served.http.get(address).json()
    properties = changed.json()["properties"]
    assert properties["softDeleteFeatureState"] == "AlwaysON"
    assert properties["isSoftDeleteFeatureStateEditable"] is False
    refused = served.http.patch(address, json={"properties": {"softDeleteFeatureState": "Disabled"}})
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "VaultSettingIrreversible")
    outside = served.http.patch(address, json={"properties": {"softDeleteRetentionPeriodInDays": 13}})
    assert (outside.status_code, outside.json()["error"]["code"]) == (400, "BadRequest")


def test_a_new_vault_gets_the_rules_of_its_request(served: Served) -> None:
    soft = {"softDeleteState": "AlwaysOn", "softDeleteRetentionPeriodInDays": 90}
    body = {"location": "local", "properties": {"securitySettings": {"softDeleteSettings": soft}}}
    made = served.http.put(f"{VAULT[:-1]}9", json=body)
    assert made.status_code == 201
    assert served.service.vaults.get("v9").rules == VaultRules(SoftDelete.ALWAYS_ON, 90)


def test_a_vm_that_is_gone_makes_its_item_unhealthy(served: Served) -> None:
    protect(served)
    service = served.service
    (known,) = service.items()
    service._items[known.id] = known.__class__(**{**vars(known), "missing_since": START})
    shown = item(served)
    assert shown["protectionStatus"] == "Unhealthy"
    assert [detail["title"] for detail in shown["healthDetails"]] == ["BCMV2VMNotFound"]  # type: ignore[index]


def test_a_stopped_vm_is_offered_to_other_vaults(served: Served) -> None:
    protect(served)
    other = served.service.vaults.create("v2", "default")
    address = f"{VAULT[:-1]}2/backupProtectableItems"
    assert [row["properties"]["friendlyName"] for row in served.http.get(address).json()["value"]] == ["db01"]
    put_state(served, "ProtectionStopped")
    names = [row["properties"]["friendlyName"] for row in served.http.get(address).json()["value"]]
    assert names == ["Web01", "db01"] and other.name == "v2"
