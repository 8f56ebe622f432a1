"""Object stores that refuse: credentials, missing buckets, no room, locks; and stores that we refuse."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from overwinter.model.errors import VaultError, VaultStorageFull
from overwinter.vault.storage import ObjectStorage, StoredObject
from overwinter.vault.storage.location import S3Location
from testkit.azurite import ACCOUNT_KEY, Azurite, shared_access_signature
from testkit.fault_proxy import Fault
from testkit.s3_server import ACCESS_KEY_ID, SECRET_ACCESS_KEY, S3Server
from testkit.servers import LOOPBACK
from tests.vault.stores import HASTY, PATIENT, Faulty, actions, azure_location, credentials_file, s3_location

pytestmark = pytest.mark.object_stores


def test_wrong_credentials_are_named(faulty: Faulty, tmp_path: Path) -> None:
    wrong = credentials_file(
        tmp_path,
        AWS_ACCESS_KEY_ID=ACCESS_KEY_ID,
        AWS_SECRET_ACCESS_KEY="wrong",
        AZURE_STORAGE_ACCOUNT_KEY=ACCOUNT_KEY[::-1].replace("=", "A"),
    )
    for action in actions(ObjectStorage(replace(faulty.location, credentials=wrong), PATIENT)):
        with pytest.raises(VaultError, match="refused the credentials"):
            action()


def test_credentials_that_make_no_sense_are_named(azure: Azurite, tmp_path: Path) -> None:
    location = azure_location(azure, tmp_path)
    nonsense = credentials_file(tmp_path, AZURE_STORAGE_ACCOUNT_KEY="no base64!")
    with pytest.raises(VaultError, match="refused the credentials"):
        ObjectStorage(replace(location, credentials=nonsense), PATIENT).get("config")


def test_the_environment_changes_nothing_but_credentials(
    faulty: Faulty, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "AWS_ALLOW_HTTP": "false",
        "AWS_CONDITIONAL_PUT": "disabled",
        "AWS_ENDPOINT_URL_S3": "https://nowhere.invalid",
        "AWS_ENDPOINT_URL": "https://nowhere.invalid",
        "AWS_SESSION_TOKEN": "wrong",
        "AWS_SKIP_SIGNATURE": "true",
        "AZURE_ENDPOINT": "https://nowhere.invalid",
        "AZURE_SKIP_SIGNATURE": "true",
        "AZURE_STORAGE_SAS_TOKEN": "wrong",
        "AZURE_STORAGE_USE_EMULATOR": "true",
    }.items():
        monkeypatch.setenv(name, value)
    storage = ObjectStorage(faulty.location, replace(PATIENT, retry=0.2))
    storage.put("index/1", [b"1"])
    assert faulty.direct.get("index/1") == b"1"


def test_a_missing_bucket_is_named(s3: S3Server, azure: Azurite, tmp_path: Path) -> None:
    for location in (
        replace(s3_location(s3, tmp_path), bucket="nobody-made-it"),
        replace(azure_location(azure, tmp_path), container="nobody-made-it"),
    ):
        put, get, get_range, listing, _ = actions(ObjectStorage(location, PATIENT))
        for action in (put, get, get_range, listing):  # Azure takes a deletion: nothing is there after it
            with pytest.raises(VaultError, match=r"There is no (bucket|container) nobody-made-it at http"):
                action()


def test_a_shared_access_signature_is_enough(azure: Azurite, tmp_path: Path) -> None:
    location = azure_location(azure, tmp_path)

    def storage(permissions: str) -> ObjectStorage:
        token = shared_access_signature(location.container, permissions)
        file = credentials_file(tmp_path, AZURE_STORAGE_SAS_TOKEN=f"?{token}")
        return ObjectStorage(replace(location, credentials=file), PATIENT)

    writer, reader = storage("rcwdl"), storage("rl")
    writer.put("index/1", [b"content"])
    assert reader.get("index/1") == b"content"
    assert reader.list("") == [StoredObject("index/1", 7)]
    with pytest.raises(VaultError, match="refused the credentials") as refusal:
        reader.put("index/2", [b"content"])
    assert "sig=" not in str(refusal.value)
    writer.delete(["index/1", "index/2"])
    assert reader.list("") == []


def test_a_deletion_that_is_refused_is_said(azure: Azurite, tmp_path: Path) -> None:
    """Also when the first thing that the store says about the names is that one is missing."""
    location = azure_location(azure, tmp_path)
    storage = ObjectStorage(location, PATIENT)
    names = [f"packs/00/{number}" for number in range(4)]
    for name in names[1:]:
        storage.put(name, [b"1"])
    token = shared_access_signature(location.container, "rcwdl")
    leased = f"{azure.endpoint}/{location.container}/{location.prefix}/{names[2]}?comp=lease&{token}"
    headers = {"x-ms-lease-action": "acquire", "x-ms-lease-duration": "-1"}
    httpx.put(leased, headers=headers).raise_for_status()
    with pytest.raises(VaultError, match=f"{names[2]}.*lease"):
        storage.delete(names)
    assert storage.get(names[2]) == b"1"


def test_a_store_that_ignores_conditional_puts_is_refused(tmp_path: Path) -> None:
    with lax_store() as (port, objects):
        keys = {"AWS_ACCESS_KEY_ID": ACCESS_KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY}
        location = S3Location(
            bucket="lax",
            prefix="",
            endpoint=f"http://{LOOPBACK}:{port}",
            region="us-east-1",
            credentials=credentials_file(tmp_path, **keys),
        )
        storage = ObjectStorage(location, PATIENT)
        for _ in range(2):
            with pytest.raises(VaultError, match=r"overwrites objects.*cannot hold a vault"):
                storage.put("config", [b"1"])
    assert list(objects) == ["/lax/tmp/probe"]


def test_a_store_is_asked_once_whether_it_honours_conditional_puts(faulty: Faulty) -> None:
    """Whoever only reads does not ask; a writer asks at its first put, whatever another one left behind."""
    for turn in range(2):
        storage = ObjectStorage(faulty.location, PATIENT)
        faulty.proxy.set(Fault("PUT", instead=refusal(403, "AccessDenied")))
        assert len(storage.list("")) == turn
        with pytest.raises(VaultError, match="tmp/probe"):
            storage.put(f"index/{turn}", [b"1"])
        assert faulty.proxy.used_up
        storage.put(f"index/{turn}", [b"1"])
        faulty.proxy.set(Fault("PUT", instead=refusal(403, "AccessDenied")))
        with pytest.raises(VaultError, match="index/9"):
            storage.put("index/9", [b"1"])


@pytest.mark.parametrize(("status", "reason"), [(507, "Any"), (403, "QuotaExceeded")])
def test_a_full_store_is_said(faulty: Faulty, status: int, reason: str) -> None:
    """No server of the kit has quotas: the answers are those of stores that do."""
    storage = faulty.storage(HASTY)
    faulty.proxy.set(*99 * [Fault("PUT", instead=refusal(status, reason))])
    with pytest.raises(VaultStorageFull, match=r"full or at its quota.*Make room"):
        storage.put("packs/00/1", [b"1"])


def refusal(status: int, reason: str) -> bytes:
    """A server's answer."""
    body = f"<Error><Code>{reason}</Code></Error>"
    return f"HTTP/1.1 {status} No\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


@contextmanager
def lax_store() -> Iterator[tuple[int, dict[str, bytes]]]:
    """A store that takes every put; no server of the kit is like that."""
    objects: dict[str, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            objects[self.path] = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("ETag", '"1"')
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer((LOOPBACK, 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port, objects
        server.shutdown()
