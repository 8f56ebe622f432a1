"""libvirt or the database go away in the middle of a job and come back: the job does its work."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

from overwinter.jobs import again
from overwinter.model.job import JobStatus
from overwinter.model.protection import ProtectedItem
from testkit.daemons import LIBVIRTD
from testkit.disks import MIB, DiskSpec
from testkit.domains import TinyGuest
from testkit.ground import Ground
from testkit.postgres import PostgresServer
from testkit.socket_proxy import SocketProxy, socket_proxy
from testkit.station import Station, open_station
from testkit.waiting import wait_until
from tests.jobs.hold import Hold

pytestmark = [pytest.mark.libvirt, pytest.mark.postgres]


@dataclass
class Scene:
    """A service that reaches libvirt and PostgreSQL through proxies, and a running guest under protection."""

    station: Station
    guest: TinyGuest
    item: ProtectedItem
    libvirt: SocketProxy
    database: SocketProxy


@pytest.fixture(scope="module")
def scene(ground: Ground, postgres: PostgresServer) -> Iterator[Scene]:
    directory = ground.run.directory / f"proxies-{uuid4().hex[:6]}"
    directory.mkdir()
    name = ".s.PGSQL.5432"
    with ExitStack() as stack:
        libvirt = stack.enter_context(socket_proxy(directory / "libvirt", LIBVIRTD.socket))
        database = stack.enter_context(socket_proxy(directory / name, postgres.directory / name))
        station = stack.enter_context(
            open_station(
                ground,
                postgres.new_database().replace(str(postgres.directory), str(directory)),
                hypervisor=f"qemu+unix:///system?socket={libvirt.path}",
            )
        )
        guest = ground.guests.make(f"loss-{uuid4().hex[:6]}", [DiskSpec("qcow2", size=64 * MIB)])
        yield Scene(station, guest, station.protect(guest), libvirt, database)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Codes of the losses after which a step waits to run again."""
    seen: list[str] = []

    class Log:
        def warning(self, _event: str, **facts: object) -> None:
            seen.append(str(facts["code"]))

    monkeypatch.setattr(again, "log", Log())
    return seen


@pytest.mark.parametrize(
    ("lost", "place"),
    [
        ("libvirt", "backup.preflight"),
        ("libvirt", "window.frozen"),
        ("libvirt", "window.snapshot-taken"),
        ("database", "snapshot.taken"),
        ("database", "transfer.stored"),
        ("database", "transfer.committed"),
    ],
)
def test_a_backup_outlasts_the_loss(
    scene: Scene, waits: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, lost: str, place: str
) -> None:
    station, guest = scene.station, scene.guest
    depth = len(guest.chain("vda"))
    guest.agent.check("dd if=/dev/urandom of=/mnt/vda/f bs=64k count=9; sync")
    hold = Hold(monkeypatch, tmp_path, place)
    job = station.service.backup(scene.item, expires=None)
    hold.wait()
    proxy: SocketProxy = getattr(scene, lost)
    proxy.cut()
    hold.release()
    if place not in ("window.frozen", "window.snapshot-taken"):  # there the thaw waits, not the step
        wait_until(lambda: bool(waits), "nothing was lost")
    proxy.connect()
    ended = station.ended(job)
    assert ended.status in (JobStatus.COMPLETED, JobStatus.COMPLETED_WITH_WARNINGS), ended.errors
    assert guest.agent.command("guest-fsfreeze-status") == "thawed"
    point = station.service.recovery_point(scene.item, str(ended.properties["recovery_point"]))
    assert len(guest.chain("vda")) == depth + 1
    station.check_restore(point, {"vda": station.truth(guest, "vda")})
