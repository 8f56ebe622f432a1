"""libvirt away or restarted, the database away, disks full, each in the middle of a backup: it comes right or
says why.
"""

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from uuid import uuid4

from testkit.daemons import LIBVIRTD
from testkit.disks import MIB
from testkit.file_systems import filled
from testkit.ground import Ground
from testkit.job_kills import KILLS
from testkit.job_scene import JobScene, job_scene, new_directory
from testkit.postgres import postgres_server
from testkit.socket_proxy import SocketProxy, socket_proxy

_DONE = ("Completed", "CompletedWithWarnings")
_POSTGRES = ".s.PGSQL.5432"

#: Places of a backup; libvirt or the database go away at each of them.
PLACES = sorted(
    {each.place for each in KILLS if each.place.split(".")[0] in ("backup", "snapshot", "window", "transfer")}
)

#: Bytes of a small file system, and seconds for which one stays full.
_SMALL = 192 * MIB
_WITHOUT_ROOM_S = 5.0

#: A fault that is ready to happen.
Fault = Callable[[], None]


def losses(ground: Ground, seconds: float) -> Iterator[tuple[str, Fault]]:
    """libvirt, then the database, away for so long at every place of a backup; all in one scene."""
    directory = new_directory(ground)
    with (
        postgres_server(ground.run.directory / f"postgres-{uuid4().hex[:6]}") as postgres,
        socket_proxy(directory / "libvirt", LIBVIRTD.socket) as libvirt,
        socket_proxy(directory / _POSTGRES, postgres.directory / _POSTGRES) as database,
        job_scene(
            ground,
            postgres.new_database().replace(str(postgres.directory), str(directory)),
            f"qemu+unix:///system?socket={libvirt.path}",
        ) as scene,
    ):
        for name, proxy in (("libvirt", libvirt), ("database", database)):
            for place in PLACES:
                yield f"{name} away at {place}", partial(_lose, scene, proxy, place, seconds)


def _lose(scene: JobScene, proxy: SocketProxy, place: str, seconds: float) -> None:
    scene.write()
    scene.program.stop()
    scene.program.start(hold_at=place)
    scene.program.run("backup", scene.guest.name)
    with scene.program.held():
        proxy.cut()
    time.sleep(seconds)
    proxy.connect()
    scene.ended("Backup", *_DONE)
    scene.compare_latest()
    scene.check_sound()


def restarts(ground: Ground) -> Iterator[tuple[str, Fault]]:
    """libvirtd killed and started at every place of a backup. ``ground`` has no connection any more then."""
    with job_scene(ground) as scene:
        for place in PLACES:
            yield f"libvirtd restarted at {place}", partial(_restart_libvirtd, scene, place)


def _restart_libvirtd(scene: JobScene, place: str) -> None:
    scene.write()
    scene.program.stop()
    scene.program.start(hold_at=place)
    scene.program.run("backup", scene.guest.name)
    name, disks = scene.guest.name, scene.guest.disks
    with scene.program.held():
        LIBVIRTD.end(signal.SIGKILL)
    LIBVIRTD.start()
    scene.ground = scene.ground.reconnected()
    scene.guest = scene.ground.guests.find(name)
    scene.guest.disks = disks
    scene.ended("Backup", *_DONE)
    scene.compare_latest()
    scene.check_sound()


def full_disks(ground: Ground) -> Iterator[tuple[str, Fault]]:
    """The vault's disk, the catalog's and that of the images, full in the middle of a backup."""
    yield "vault full", partial(_vault_full, ground)
    yield "catalog full", partial(_catalog_full, ground)
    yield "images full", partial(_images_full, ground)


def _vault_full(ground: Ground) -> None:
    """The point stays in the snapshot tier, the job says so; with room again the next one is whole."""
    directory = new_directory(ground)
    small = directory / "small"
    with _small(small), closing(JobScene(ground, directory, vault=small / "vault")) as scene:
        scene.backup_and_compare()
        with filled(small, leave=0):
            scene.write()
            scene.program.run("backup", scene.guest.name, "--wait")
            job = scene.ended("Backup", "CompletedWithWarnings")
            assert "VaultStorageFull" in [error["code"] for error in job["errors"]], job
            scene.check_alive()
        scene.backup_and_compare()
        scene.check_sound()


def _catalog_full(ground: Ground) -> None:
    """The job waits for room, or ends with a code; afterwards backups work."""
    directory = new_directory(ground)
    state, vault = directory / "overwinter" / "state", directory / "vault"
    state.parent.mkdir(mode=0o755)
    with _small(state), closing(JobScene(ground, directory, vault=vault)) as scene:
        scene.backup_and_compare()
        scene.program.stop()
        scene.program.start(hold_at="snapshot.noted")
        scene.program.run("backup", scene.guest.name)
        with ExitStack() as full:
            with scene.program.held():
                full.enter_context(filled(state, leave=0))
            time.sleep(_WITHOUT_ROOM_S)
            scene.check_alive()
        scene.program.stop()
        scene.program.start()
        scene.ended("Backup", *_DONE, "Failed")
        scene.backup_and_compare()
        scene.check_sound()


def _images_full(ground: Ground) -> None:
    """A snapshot whose overlay could fill the disk is refused before the guest is touched."""
    with closing(JobScene(ground, new_directory(ground))) as scene:
        with filled(scene.guest.disks["vda"].parent, leave=512 * MIB):
            scene.program.run("backup", scene.guest.name, "--wait")
            job = scene.ended("Backup", "Failed")
            assert job["errors"], job
        assert scene.depths() == {1}
        scene.backup_and_compare()
        scene.check_sound()


@contextmanager
def _small(directory: Path) -> Iterator[None]:
    """A file system of its own, in memory."""
    directory.mkdir(mode=0o755)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_SMALL},mode=755", "tmpfs", directory], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", directory], check=True)
