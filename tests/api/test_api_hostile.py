"""Hostile and broken requests: always a coded answer, never a defect, never a traceback."""

import json
import socket
import ssl
from contextlib import suppress
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api.fake_service import START
from tests.api.served import GROUP, MACHINES, SUBSCRIPTION, VAULT, Running, Served, fresh_service, item_path

ITEM = item_path("web01")
POINT = f"{ITEM}/recoveryPoints/{int(START.timestamp() * 1_000_000)}"
WRITES = [
    ("PUT", f"{VAULT}2"),
    ("PUT", f"{VAULT}/backupPolicies/nightly"),
    ("PUT", ITEM),
    ("POST", f"{ITEM}/backup"),
    ("POST", f"{POINT}/restore"),
    ("POST", f"{SUBSCRIPTION}/providers/Microsoft.RecoveryServices/locations/local/backupStatus"),
]
QUIET = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def is_coded(answer: Any) -> bool:
    """An error answer in ARM's shape, of the client's making."""
    assert answer.status_code < 500, f"{answer.request.method} {answer.request.url}: {answer.text}"
    if answer.status_code >= 400:
        error = answer.json()["error"]
        assert error["code"] and error["message"]
    return True


@pytest.mark.parametrize(("method", "path"), WRITES)
@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"\xff\xfe",
        b'{"properties": []}',
        b'{"properties": 7}',
        b'{"a": NaN}',
        b'{"a": ' + b"9" * 5000 + b"}",
        b'{"properties": {"a": "\\ud800"}}',
        b'{"properties": {"a\\u0000": 1}}',
        b"[" * 100_000,
        b'{"a":' * 3000 + b"1" + b"}" * 3000,
        b'{"properties":' + b"[" * 40 + b"]" * 40 + b"}",
    ],
)
def test_bodies_that_are_no_document(served: Served, method: str, path: str, body: bytes) -> None:
    answer = served.http.request(method, path, content=body)
    assert answer.status_code in (400, 404), answer.text
    assert is_coded(answer)
    assert len(served.service.vaults.every()) == 1 and served.service.jobs() == []


@pytest.mark.parametrize("declared", [True, False])
def test_a_huge_body_is_cut_off(served: Served, declared: bool) -> None:
    piece = b" " * 65536
    sent = 0

    def pieces() -> Any:
        nonlocal sent
        for _ in range(1600):
            sent += len(piece)
            yield piece

    headers = {"content-length": str(1600 * len(piece))} if declared else {}
    try:
        answer = served.http.put(f"{VAULT}2", content=pieces(), headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "RequestEntityTooLarge")
    except httpx.TransportError:  # closed before everything was sent
        assert sent < 1600 * len(piece)
    assert [vault.name for vault in served.service.vaults.every()] == ["v1"]
    assert served.http.get(VAULT).status_code == 200


@pytest.mark.parametrize(
    "line", [b"GET " + b"/a" * 40000 + b" HTTP/1.1", b"\x16\x03nonsense", b"GET / HTTP/9.9"]
)
def test_broken_http(running: Running, served: Served, line: bytes) -> None:
    endpoint = running.state.info().endpoint
    trust = ssl.create_default_context(cafile=str(running.state.info().ca_file))
    address = ("127.0.0.1", int(endpoint.rsplit(":", 1)[1]))
    with (
        socket.create_connection(address, timeout=20) as plain,
        trust.wrap_socket(plain, server_hostname="localhost") as tls,
    ):
        answer = b""
        with suppress(OSError):  # the server may close before it has read everything
            tls.sendall(line + b"\r\n\r\n")
            answer = tls.recv(4096)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4")
    assert b"Traceback" not in answer
    assert served.http.get(VAULT).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        f"{VAULT}/../../../../../../etc/passwd",
        f"{VAULT}/%2e%2e/%2e%2e/x",
        f"{VAULT}%2f..%2f..",
        f"{MACHINES}/%00",
        f"{MACHINES}/%ff%fe",
        f"{MACHINES}/..%5c..",
        f"{GROUP}%00/providers/Microsoft.RecoveryServices/vaults/v1",
        f"{VAULT}/backupPolicies/%00",
        f"{VAULT}/backupJobs/%00",
        f"{VAULT}/backupJobs/{'9' * 5000}",
        f"{ITEM}%00",
        f"{ITEM}/recoveryPoints/{'9' * 5000}",
        "/",
        "//",
        "/%",
    ],
)
def test_paths_that_lead_nowhere(served: Served, path: str) -> None:
    answer = served.http.get(path)
    assert answer.status_code in (400, 404) and is_coded(answer)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
names = st.sampled_from(
    [
        *(
            "policyType",
            "backupManagementType",
            "instantRpRetentionRangeInDays",
            "schedulePolicy",
            "timeZone",
        ),
        *(
            "retentionPolicy",
            "scheduleRunFrequency",
            "scheduleRunTimes",
            "dailySchedule",
            "retentionDuration",
        ),
        *("count", "durationType", "requiredConsistency", "tieringPolicy", "ArchivedRP", "instantRPDetails"),
        *("policyId", "sourceResourceId", "protectionState", "isRehydrate", "extendedProperties", "location"),
        *("recoveryPointExpiryTimeInUTC", "recoveryType", "targetVirtualMachineId", "restoreDiskLunList"),
        *("targetDirectory", "resourceId", "overwinter"),
    ]
)
words = st.sampled_from(
    [
        *("V1", "V2", "AzureIaasVM", "Daily", "Days", "CrashConsistent", "ProtectionStopped", "/x"),
        *("AlternateLocation", "RestoreDisks", f"{MACHINES}/Web01", f"{MACHINES}/é", 1, "1", 10**30, -1),
        *("2999-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"),
        f"{VAULT}/backupPolicies/DefaultPolicy",
    ]
)
documents = st.recursive(
    st.dictionaries(names, words | json_values, max_size=8),
    lambda inner: st.dictionaries(names, words | inner | json_values, max_size=8),
    max_leaves=12,
)


@QUIET
@given(write=st.sampled_from(WRITES), document=documents, is_wrapped=st.booleans())
def test_documents_of_any_content(
    running: Running, served: Served, write: tuple[str, str], document: Any, is_wrapped: bool
) -> None:
    service = fresh_service(running)
    service.finish(service.protect(service.vaults.get("v1"), service.machine("Web01"), "DefaultPolicy"))
    service.add_point(service.items()[0], START)
    body = json.dumps({"properties": document} if is_wrapped else document)
    assert is_coded(served.http.request(write[0], write[1], content=body))
    # What was accepted can be shown, too.
    assert served.http.get(f"{VAULT}/backupPolicies").status_code == 200
    assert served.http.get(f"{VAULT}/backupJobs").status_code == 200


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "now", 7])
def test_times_at_the_end_of_time(served: Served, moment: object) -> None:
    service = served.service
    service.finish(service.protect(service.vaults.get("v1"), service.machine("Web01"), "DefaultPolicy"))
    body = {"properties": {"recoveryPointExpiryTimeInUTC": moment}}
    assert served.http.post(f"{ITEM}/backup", json=body).status_code == 400


query_names = st.sampled_from(["$filter", "$expand", "$skipToken", "api-version"])


@QUIET
@given(
    method=st.sampled_from(["GET", "PUT", "POST", "DELETE", "PATCH", "HEAD", "OPTIONS"]),
    segments=st.lists(
        st.text(max_size=8) | st.sampled_from(f"{POINT}/restore/cancel".split("/")), max_size=16
    ),
)
def test_addresses_of_any_content(running: Running, served: Served, method: str, segments: list[str]) -> None:
    fresh_service(running)
    path = "/" + "/".join("".join(f"%{byte:02X}" for byte in part.encode()) for part in segments)
    # As a whole address: a client would take a path that begins with // for the name of a host.
    address = served.http.base_url.copy_with(raw_path=path.encode())
    assert served.http.request(method, address).status_code < 500


@QUIET
@given(query=st.dictionaries(query_names, st.text()))
def test_queries_of_any_content(served: Served, query: dict[str, str]) -> None:
    for path in (f"{VAULT}/backupPolicies", f"{VAULT}/backupJobs", f"{MACHINES}/Web01"):
        assert is_coded(served.http.get(path, params=query))
