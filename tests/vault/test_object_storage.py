"""Object stores that fail: lost, cut and late answers, servers that die or are not there."""

import threading
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from overwinter.model.errors import AlreadyExists, VaultError
from overwinter.vault import KeySource, create_vault, vault_at
from overwinter.vault.storage import ObjectStorage, StoredObject, opening
from testkit.fault_proxy import Fault, fault_proxy
from testkit.s3_server import S3Server
from testkit.servers import free_ports
from tests.vault.disks import noise
from tests.vault.stores import HASTY, PATIENT, Faulty, actions, credentials_file, s3_location

MIB = 1024 * 1024
PACK = noise(1, 8 * MIB)

pytestmark = pytest.mark.object_stores


def test_a_put_whose_answer_is_lost_succeeds(faulty: Faulty) -> None:
    storage = faulty.storage()
    faulty.proxy.set(Fault("PUT", answer_bytes=0), Fault("PUT", answer_bytes=10))
    storage.put("packs/00/1", [PACK])
    storage.put("packs/00/2", [PACK])
    assert faulty.proxy.used_up
    assert faulty.direct.get("packs/00/1") == faulty.direct.get("packs/00/2") == PACK


def test_a_lost_answer_does_not_hide_another_writer(faulty: Faulty) -> None:
    storage = faulty.storage()
    faulty.direct.put("collections/1", [b"the other one's"])
    faulty.proxy.set(Fault("PUT", answer_bytes=0))
    with pytest.raises(AlreadyExists, match="collections/1"):
        storage.put("collections/1", [b"ours"])
    assert faulty.proxy.used_up
    assert faulty.direct.get("collections/1") == b"the other one's"


def test_the_other_writer_may_come_between_two_attempts(faulty: Faulty) -> None:
    storage = faulty.storage()
    faulty.proxy.set(
        Fault("PUT", request_bytes=10, first=lambda: faulty.direct.put("collections/1", [b"the other one's"]))
    )
    with pytest.raises(AlreadyExists):
        storage.put("collections/1", [b"ours"])
    assert faulty.direct.get("collections/1") == b"the other one's"


def test_a_put_that_is_cut_leaves_no_part_and_is_repeated(faulty: Faulty) -> None:
    storage = faulty.storage()
    seen: list[list[StoredObject]] = []
    faulty.proxy.set(
        Fault("PUT", request_bytes=MIB, first=lambda: seen.append(faulty.direct.list("packs/"))),
        Fault("PUT", request_bytes=0, first=lambda: seen.append(faulty.direct.list("packs/"))),
    )
    storage.put("packs/00/1", [PACK])
    assert seen == [[], []]
    assert faulty.direct.get("packs/00/1") == PACK


def test_reads_that_are_cut_are_repeated(faulty: Faulty) -> None:
    storage = faulty.storage()
    for number in range(30):
        faulty.direct.put(f"index/{number}", [PACK if number == 0 else b"1"])
    for kept in (0, 10, 2000):  # nothing, part of the head, part of the content
        faulty.proxy.set(Fault("GET", answer_bytes=kept))
        assert storage.get("index/0") == PACK
        faulty.proxy.set(Fault("GET", answer_bytes=kept))
        assert storage.get_range("index/0", 1000, MIB) == PACK[1000 : 1000 + MIB]
        faulty.proxy.set(Fault("GET", answer_bytes=kept))
        assert len(storage.list("index/")) == 30
        assert faulty.proxy.used_up


def test_a_deletion_whose_answer_is_lost_is_repeated(faulty: Faulty) -> None:
    storage = faulty.storage()
    names = [f"packs/00/{number}" for number in range(5)]
    for name in names:
        storage.put(name, [b"1"])
    faulty.proxy.set(Fault("POST", answer_bytes=0))
    storage.delete(names)
    assert faulty.proxy.used_up
    assert faulty.direct.list("packs/") == []


def test_answers_that_come_too_late_are_not_waited_for(faulty: Faulty) -> None:
    storage = faulty.storage(replace(PATIENT, request=1))
    over = threading.Event()
    faulty.proxy.set(Fault("PUT", first=over.wait), Fault("GET", first=over.wait))
    try:
        storage.put("index/1", [b"content"])
        assert storage.get("index/1") == b"content"
        assert faulty.proxy.used_up
    finally:
        over.set()


def test_a_store_that_never_answers_whole_is_given_up(faulty: Faulty) -> None:
    storage = faulty.storage(replace(HASTY, retry=0.2))
    faulty.direct.put("index/1", [PACK])
    cuts = [Fault(method, answer_bytes=1) for method in ("GET", "PUT", "POST")]
    faulty.proxy.set(*999 * cuts)
    for action in actions(storage):
        with pytest.raises(VaultError, match=r"does not answer.*Check that it can be reached"):
            action()


def test_a_server_that_is_not_there_is_named(faulty: Faulty) -> None:
    (port,) = free_ports(1)
    endpoint = faulty.location.endpoint.replace(str(faulty.proxy.port), str(port))
    storage = ObjectStorage(replace(faulty.location, endpoint=endpoint), replace(HASTY, retry=0.2))
    for action in actions(storage):
        with pytest.raises(VaultError, match=rf"127\.0\.0\.1:{port}.*Connection refused"):
            action()


def test_a_new_vault_is_not_tried_for_minutes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "FIRST_LOOK", replace(HASTY, retry=0.2))
    (port,) = free_ports(1)
    credentials = credentials_file(tmp_path, AWS_ACCESS_KEY_ID="x", AWS_SECRET_ACCESS_KEY="x")
    url = f"s3://bucket/vault?endpoint=http://127.0.0.1:{port}&credentials={credentials}"
    key = KeySource.new_key_file(tmp_path / "key")
    with pytest.raises(VaultError, match="Connection refused"):
        create_vault(url, key, vault_id=uuid4())
    with pytest.raises(VaultError, match="Connection refused"):
        vault_at(url, key)


def test_a_server_killed_in_the_middle_and_started_again(s3: S3Server, tmp_path: Path) -> None:
    with fault_proxy(s3.port) as proxy:
        storage = ObjectStorage(s3_location(s3, tmp_path, proxy.port), PATIENT)
        storage.put("index/1", [PACK])
        proxy.set(Fault("PUT", request_bytes=4 * MIB, first=s3.restart))
        storage.put("packs/00/1", [PACK])
        assert storage.list("packs/") == [StoredObject("packs/00/1", len(PACK))]
        proxy.set(Fault("GET", answer_bytes=1000, first=s3.restart))
        assert storage.get("packs/00/1") == PACK
        assert storage.get("index/1") == PACK
        assert proxy.used_up
