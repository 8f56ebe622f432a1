"""``overwinter vm extension`` and ``point show`` against a served API."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from click.testing import Result
from typer.testing import CliRunner

from overwinter.cli.main import app
from overwinter.model.freeze import FreezeMethod, FreezeRecord, MountRecord, NotFrozen
from tests.api.fake_service import START
from tests.api.served import Served

Run = Callable[..., Result]


@pytest.fixture
def run(served: Served) -> Run:
    served.service.auto_finish = True
    return lambda *words, **more: CliRunner().invoke(app, [*words, "--dir", str(served.directory)], **more)


def test_install_show_remove(run: Run) -> None:
    assert "not installed" in run("vm", "extension", "show", "Web01").stderr
    assert "It was not installed." in run("vm", "extension", "remove", "Web01").stdout
    assert json.loads(run("vm", "extension", "install", "Web01", "--json").stdout) == {
        "name": "VMSnapshotLinux",
        "version": "0.1.0.7",
        "state": "Succeeded",
        "message": "Ready.",
    }
    assert "0.1.0.7" in run("vm", "extension", "show", "Web01").stdout
    assert "VMSnapshotLinux 0.1.0.7" in run("vm", "show", "Web01").stdout
    assert "Removed." in run("vm", "extension", "remove", "Web01").stdout


def test_a_point_shows_what_stood_still(run: Run, served: Served) -> None:
    service = served.service
    run("protect", "Web01", "--vault", "v1")
    item = service.items()[0]
    efi = MountRecord("/efi", "/dev/vda2", "vfat", NotFrozen.UNFREEZABLE)
    mounts = (MountRecord("/", "/dev/vda1", "ext4"), efi)
    record = FreezeRecord(FreezeMethod.EXTENSION, version="0.1.0.7", guest_ms=9, mounts=mounts)
    point = replace(service.add_point(item, START), freeze=record)
    service._points[item.id] = [point]
    shown = run("point", "show", "Web01", point.id).stdout
    assert "extension 0.1.0.7" in shown and "9 ms" in shown and "/dev/vda1" in shown
    assert "Not frozen: /efi (vfat) is of a kind that cannot be frozen." in shown
    document = json.loads(run("point", "show", "Web01", point.id, "--json").stdout)
    (frozen,) = document["freeze"]["frozen"]
    assert frozen == {"mount_point": "/", "source": "/dev/vda1", "file_system": "ext4"}
    assert document["freeze"]["scripts"] is None
    plain = replace(point, freeze=FreezeRecord(FreezeMethod.AGENT, reason="The guest has no Python 3."))
    service._points[item.id] = [plain]
    assert "guest agent (The guest has no Python 3.)" in run("point", "show", "Web01", point.id).stdout
