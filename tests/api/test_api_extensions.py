"""The extension of a VM over HTTP, and what a recovery point tells of its freeze."""

from dataclasses import replace

from overwinter.model.freeze import FreezeMethod, FreezeRecord, MountRecord, NotFrozen
from tests.api.fake_service import START
from tests.api.served import MACHINES, Served, item_path

EXTENSION = f"{MACHINES}/Web01/extensions/VMSnapshotLinux"


def test_the_life_of_an_extension(served: Served) -> None:
    assert served.http.get(EXTENSION).status_code == 404
    assert served.http.delete(EXTENSION).status_code == 204
    assert served.http.get(f"{MACHINES}/Web01/extensions").json() == {"value": []}
    made = served.http.put(EXTENSION, json={"properties": {}}).json()
    assert (made["id"], made["properties"]["provisioningState"]) == (EXTENSION, "Succeeded")
    assert made["properties"]["typeHandlerVersion"] == "0.1.0.7"
    assert served.http.get(EXTENSION.casefold().replace("web01", "Web01")).json() == made
    assert served.http.get(f"{MACHINES}/Web01/extensions").json() == {"value": [made]}
    view = served.http.get(f"{MACHINES}/Web01/instanceView").json()
    assert view["extensions"] == [made["properties"]["instanceView"]]
    (handler,) = view["vmAgent"]["extensionHandlers"]
    assert (handler["typeHandlerVersion"], handler["status"]["displayStatus"]) == ("0.1.0.7", "Ready")
    assert served.http.delete(EXTENSION).status_code == 200
    assert served.http.get(EXTENSION).status_code == 404


def test_there_is_no_other_extension_and_none_in_a_guest_that_cannot_be_asked(served: Served) -> None:
    assert served.http.put(f"{MACHINES}/Web01/extensions/Other", json={}).status_code == 404
    assert served.http.get(f"{MACHINES}/db01/extensions").json() == {"value": []}
    assert served.http.get(f"{MACHINES}/db01/instanceView").json()["extensions"] == []


def test_a_point_tells_what_stood_still(served: Served) -> None:
    service = served.service
    service.finish(service.protect(service.vaults.get("v1"), service.machine("Web01"), "DefaultPolicy"))
    item = service.items()[0]
    point = service.add_point(item, START)
    mounts = (
        MountRecord("/", "/dev/vda1", "ext4"),
        MountRecord("/net", "server:/x", "nfs4", NotFrozen.NETWORK),
    )
    record = FreezeRecord(FreezeMethod.EXTENSION, version="0.1.0.7", guest_ms=9, mounts=mounts)
    service._points[item.id] = [replace(point, freeze=record)]
    (shown,) = served.http.get(f"{item_path('web01')}/recoveryPoints").json()["value"]
    freeze = shown["properties"]["overwinter"]["freeze"]
    assert (freeze["method"], freeze["extensionVersion"], freeze["guestMs"]) == ("extension", "0.1.0.7", 9)
    assert freeze["frozen"] == [{"mountPoint": "/", "source": "/dev/vda1", "fileSystem": "ext4"}]
    assert freeze["skipped"][0]["reason"] == "/net (nfs4) is a network file system"
    assert freeze["scripts"]["configured"] is False
