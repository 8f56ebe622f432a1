"""The rules that hold for every route: spelling, filters, paging, errors, ids, authentication."""

import re
from dataclasses import replace
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest
import structlog

from overwinter.api import context
from testkit.waiting import wait_until
from tests.api.fake_service import START
from tests.api.served import GROUP, MACHINES, SUBSCRIPTION, VAULT, Served, item_path


def protect(served: Served, vm: str = "Web01") -> None:
    service = served.service
    service.finish(service.protect(service.vaults.get("v1"), service.machine(vm), "DefaultPolicy"))


@pytest.mark.parametrize(
    "path",
    [
        VAULT,
        VAULT + "/",
        VAULT.replace("resourceGroups", "resourcegroups"),
        VAULT.replace("Microsoft.RecoveryServices", "microsoft.recoveryservices//"),
        VAULT.upper(),
        VAULT + "?api-version=2024-04-01",
        VAULT + "?api-version=2031-12-31-preview",
    ],
)
def test_one_vault_in_many_spellings(served: Served, path: str) -> None:
    answer = served.http.get(path)
    assert answer.status_code == 200
    assert answer.json()["id"] == VAULT


def test_names_keep_their_case_when_made(served: Served) -> None:
    # "Vaults" is a fixed word of addresses too; as a name it must survive.
    answer = served.http.put(f"{GROUP}/providers/microsoft.recoveryservices/VAULTS/VAULTS", json={})
    assert answer.status_code == 201
    assert answer.json()["name"] == "VAULTS"


def test_semicolons_raw_or_encoded(served: Served) -> None:
    protect(served)
    for path in (item_path("web01"), item_path("web01").replace(";", "%3B"), item_path("WEB01").upper()):
        assert served.http.get(path).json()["properties"]["friendlyName"] == "Web01"


@pytest.mark.parametrize(
    "query",
    [
        "$filter=backupManagementType%20eq%20%27AzureIaasVM%27%20and%20itemType%20eq%20%27VM%27",
        "%24filter=backupManagementType+eq+%27AzureIaasVM%27",
        "$filter=policyName eq 'defaultpolicy'",
        "$filter=",
    ],
)
def test_filter_finds(served: Served, query: str) -> None:
    protect(served)
    rows = served.http.get(f"{VAULT}/backupProtectedItems?{query}").json()["value"]
    assert [row["properties"]["friendlyName"] for row in rows] == ["Web01"]


@pytest.mark.parametrize("kind", ["AzureWorkload", "AzureStorage", "NoSuchThing"])
def test_filter_for_another_kind_is_empty(served: Served, kind: str) -> None:
    protect(served)
    query = {"$filter": f"backupManagementType eq '{kind}'"}
    for rows in ("backupProtectedItems", "backupPolicies", "backupJobs", "backupProtectionContainers"):
        assert served.http.get(f"{VAULT}/{rows}", params=query).json() == {"value": []}


@pytest.mark.parametrize("text", ["status", "status eq Failed", "a eq 'b' or c eq 'd'", "noSuchKey eq 'x'"])
def test_filter_that_cannot_be_read(served: Served, text: str) -> None:
    protect(served)
    answer = served.http.get(f"{VAULT}/backupJobs", params={"$filter": text})
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "BadRequest"


def test_job_filter_by_time_status_and_operation(served: Served) -> None:
    protect(served)
    service = served.service
    running = service.backup(service.items()[0], expires=None)

    def ids(text: str) -> set[str]:
        rows = served.http.get(f"{VAULT}/backupJobs", params={"$filter": text}).json()["value"]
        return {row["name"] for row in rows}

    both = ids("startTime eq '2026-01-01 02:30:00 AM' and endTime eq '2026-01-01 03:00:00 AM'")
    assert len(both) == 2 and str(running.id) in both
    assert ids("operation eq 'Backup' and status eq 'InProgress'") == {str(running.id)}
    assert ids("startTime eq '2026-01-01T02:30:30Z'") == {str(running.id)}
    assert ids("endTime eq '2026-01-01 02:29:59 AM'") == set()


def test_pages_hold_every_row_once(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "PAGE_ROWS", 3)
    protect(served)
    for _ in range(7):
        service = served.service
        service.finish(service.backup(service.items()[0], expires=None))
    seen: list[str] = []
    link: str | None = f"{VAULT}/backupJobs?$filter=operation eq 'Backup'&api-version=2026-01-01"
    pages = 0
    while link:
        page = served.http.get(link).json()
        seen += [row["name"] for row in page["value"]]
        link = page.get("nextLink")
        assert link is None or link.startswith("https://")
        pages += 1
    assert pages == 3
    assert len(seen) == len(set(seen)) == 7


def test_property_names_in_any_case_numbers_as_strings_unknown_and_null(served: Served) -> None:
    document = {
        "eTag": "x",
        "location": None,
        "PROPERTIES": {
            "backupmanagementtype": "AzureIaasVM",
            "PolicyType": "v1",
            "instantRPRetentionRangeInDays": "3",
            "instantRpDetails": {"azureBackupRgNamePrefix": "keep"},
            "schedulePolicy": {
                "schedulePolicyType": "SimpleSchedulePolicy",
                "scheduleRunFrequency": "Daily",
                "scheduleRunTimes": ["2026-01-01T02:30:00Z"],
            },
            "retentionPolicy": {
                "dailySchedule": {"retentionDuration": {"count": "45", "durationType": "days"}},
                "weeklySchedule": None,
            },
            "tieringPolicy": None,
            "whatNobodyKnows": {"a": [1, None]},
        },
    }
    answer = served.http.put(f"{VAULT}/backupPolicies/nightly", json=document)
    assert answer.status_code == 200, answer.text
    properties = answer.json()["properties"]
    assert properties["instantRpRetentionRangeInDays"] == 3
    assert properties["instantRPDetails"]["azureBackupRGNamePrefix"] == "keep"
    assert properties["retentionPolicy"]["dailySchedule"]["retentionDuration"]["count"] == 45
    assert properties["protectedItemsCount"] == 0
    again = served.http.put(f"{VAULT}/backupPolicies/NIGHTLY", json=answer.json())
    assert again.json() == answer.json()


def test_error_shape(served: Served) -> None:
    answer = served.http.get(f"{VAULT}/backupJobs/{uuid4()}")
    assert answer.status_code == 404
    error = answer.json()["error"]
    info = error["additionalInfo"][0]["info"]
    assert error["code"] == "ResourceNotFound"
    assert info["recommendations"]
    assert all(sentence in error["message"] for sentence in info["recommendations"])
    assert info["message"] in error["message"]
    assert "Traceback" not in answer.text


def test_every_answer_has_its_ids(served: Served) -> None:
    seen = set()
    for path in (VAULT, "/nowhere"):
        answer = served.http.get(path)
        seen.add(UUID(answer.headers["x-ms-request-id"]))
        assert UUID(answer.headers["x-ms-correlation-request-id"])
    assert len(seen) == 2


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer wrong", "Basic {token}", "Bearer {token}x", "Bearer \xff"]
)
def test_without_the_token_nothing_is_told(served: Served, header: str | None) -> None:
    token = served.http.headers["authorization"].removeprefix("Bearer ")
    headers = {} if header is None else {"Authorization": header.format(token=token).encode("latin-1")}
    del served.http.headers["authorization"]
    for path in (VAULT, "/nowhere", "/docs", "/openapi.json"):
        answer = served.http.get(path, headers=headers)
        assert answer.status_code == 401
        assert answer.json()["error"]["code"] == "AuthenticationFailed"
        assert answer.headers["x-ms-request-id"]


def test_other_subscription_group_method_and_address(served: Served) -> None:
    other = VAULT.replace(SUBSCRIPTION, f"/subscriptions/{uuid4()}")
    assert served.http.get(other).status_code == 404
    assert served.http.get(VAULT.replace("/default/", "/lab/")).status_code == 404
    assert served.http.get(MACHINES.replace("/default/", "/lab/")).json() == {"value": []}
    assert served.http.get(f"{MACHINES.replace('/default/', '/lab/')}/Web01").status_code == 404
    answer = served.http.post(VAULT, json={})
    assert (answer.status_code, answer.json()["error"]["code"]) == (405, "MethodNotAllowed")


def test_a_defect_is_told_by_id_and_never_shown(served: Served) -> None:
    served.service.broken = ZeroDivisionError("secret detail")
    answer = served.http.get(MACHINES)
    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "InternalServerError"
    assert answer.headers["x-ms-request-id"] in answer.json()["error"]["message"]
    assert "secret detail" not in answer.text and "ZeroDivision" not in answer.text


def test_log_has_the_defect_and_no_token(served: Served, tmp_path: Path) -> None:
    served.service.broken = ZeroDivisionError("secret detail")
    before = structlog.get_config()
    with (tmp_path / "log").open("w") as file:
        structlog.configure(logger_factory=structlog.PrintLoggerFactory(file))
        try:
            answer = served.http.get(MACHINES)
            served.http.get(VAULT)
            # The line may follow the answer.
            wait_until(lambda: "secret detail" in (tmp_path / "log").read_text(), "the defect was not logged")
        finally:
            structlog.configure(**before)
    logged = (tmp_path / "log").read_text()
    assert answer.headers["x-ms-request-id"] in logged
    assert served.http.headers["authorization"].removeprefix("Bearer ") not in logged


def test_names_that_differ_only_in_case(served: Served) -> None:
    service = served.service
    twin = replace(service.machine("Web01"), name="WEB01", uuid=uuid4())
    service._machines.append(twin)
    assert served.http.get(f"{MACHINES}/WEB01").json()["properties"]["vmId"] == str(twin.uuid)
    answer = served.http.get(f"{MACHINES}/web01")
    assert answer.status_code == 400
    assert "letter case" in answer.json()["error"]["message"]


def test_times_are_utc_with_z(served: Served) -> None:
    protect(served)
    service = served.service
    service.add_point(service.items()[0], START)
    row = served.http.get(f"{item_path('web01')}/recoveryPoints").json()["value"][0]
    time = row["properties"]["recoveryPointTime"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,7})?Z", time)


def test_answers_are_not_kept_by_caches(served: Served) -> None:
    answer: httpx.Response = served.http.get(VAULT)
    assert answer.headers["cache-control"] == "no-store"
