"""SIGKILL of the service at every place of a backup, a merge and a restore: afterwards all is right.

One test walks through all places with the same guest, because each of them must leave it fit for the next.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pytest

from testkit.disks import MIB, DiskSpec, convert, first_difference
from testkit.domains import TinyGuest
from testkit.ground import Ground
from testkit.waiting import wait_until
from tests.e2e.program import Program

pytestmark = pytest.mark.libvirt

BACKUP_PLACES = [
    "backup.preflight",
    "snapshot.noted",
    "window.frozen",
    "window.snapshot-taken",
    "snapshot.taken",
    "transfer.stored",
    "transfer.committed",
]
RESTORE_PLACES = [
    "restore.disk-written",
    "restore.written",
    "restore.published-one",
    "restore.defined",
]
DELETE_PLACES = ["clean-up.point-removed"]
FLATTEN_PLACES = ["protection.flatten", "protection.disk-flat"]
MERGE_PLACES = ["merge.noted", "merge.done"]

#: A guest may be frozen for the guard's hard stop at most, and then it takes a moment.
THAW_LIMIT_S = 20.0


class Scene:
    """A running guest with a qcow2 and a raw disk under protection."""

    def __init__(self, ground: Ground, directory: Path) -> None:
        self.directory = directory
        self.guests = ground.guests
        self.program = Program(directory / "overwinter")
        disks = [DiskSpec(format="qcow2", size=128 * MIB), DiskSpec(format="raw", size=64 * MIB)]
        self.guest: TinyGuest = ground.guests.make(f"kills-{uuid4().hex[:6]}", disks)
        self.program.start()
        self.program.do("vault", "create", "vault1")
        self.protect()
        self.restart()

    def protect(self) -> None:
        self.program.do("protect", self.guest.name, "--vault", "vault1")

    def restart(self, kill_at: str | None = None) -> None:
        self.program.stop()
        self.program.start(kill_at=kill_at)

    def write(self) -> None:
        """Change something on both disks; works only in a guest that is not frozen."""
        self.guest.agent.check("for d in /mnt/vd?; do dd if=/dev/urandom of=$d/f bs=64k count=9; done; sync")

    def age_restore_points(self, days: int) -> None:
        """Let the existing restore points be older, as if time had passed; the service must not run."""
        with closing(sqlite3.connect(self.program.state / "catalog.db")) as catalog:
            catalog.execute(f"UPDATE restore_points SET created = datetime(created, '-{days} days')")
            catalog.commit()

    def backup_and_compare(self) -> None:
        """A whole backup, restored and compared with qemu-img's copy of the frozen chain."""
        self.write()
        job = self.program.do("backup", self.guest.name, "--wait")
        assert job["status"] == "Completed", job["errors"]
        directory = self.directory / f"check-{uuid4().hex[:6]}"
        directory.mkdir()
        self.program.do("restore", self.guest.name, "--point", "latest", "--disks", str(directory))
        for target, original in self.guest.disks.items():
            frozen = self.guest.chain(target)[1]
            truth, got = directory / f"{target}.truth", directory / f"{target}.got"
            convert(frozen, original.suffix[1:] if frozen == original else "qcow2", truth)
            (restored,) = directory.glob(f"*-{target}{original.suffix}")
            convert(restored, original.suffix[1:], got)
            assert first_difference(truth, got) is None, target


@pytest.fixture(scope="module")
def scene(ground: Ground) -> Iterator[Scene]:
    directory = ground.run.directory / f"kills-{uuid4().hex[:6]}"
    directory.mkdir(mode=0o755)
    made = Scene(ground, directory)
    yield made
    made.program.stop()


@pytest.mark.parametrize("place", BACKUP_PLACES)
def test_backup(scene: Scene, place: str) -> None:
    scene.write()
    scene.restart(kill_at=place)
    scene.program.run("backup", scene.guest.name)  # the service may die before it has answered
    scene.program.wait_killed()
    # With the service dead: the guest must be writable again soon (a sync blocks while it is frozen).
    wait_until(lambda: scene.guest.agent.command("guest-fsfreeze-status") == "thawed", "frozen", THAW_LIMIT_S)
    scene.write()
    scene.program.start()
    job = scene.program.ended(scene.program.newest_job("Backup"))
    assert job["status"] in ("Completed", "CompletedWithWarnings"), job["errors"]
    depth = {target: len(scene.guest.chain(target)) for target in scene.guest.disks}
    assert len(set(depth.values())) == 1, f"one snapshot over all disks or none: {depth}"
    scene.backup_and_compare()


@pytest.mark.parametrize("place", RESTORE_PLACES)
def test_restore(scene: Scene, place: str) -> None:
    if not scene.program.do("points", scene.guest.name):
        scene.backup_and_compare()
    name = f"{scene.guest.name}-{place.replace('.', '-')}"
    scene.restart(kill_at=place)
    scene.program.run("restore", scene.guest.name, "--point", "latest", "--as", name, "--no-wait")
    scene.program.wait_killed()
    scene.program.start()
    job = scene.program.ended(scene.program.newest_job("Restore"))
    assert job["status"] == "Completed", job
    assert not list(scene.program.images.glob("*.partial-*"))
    restored = scene.guests.find(name)
    restored.start()
    assert restored.agent.check("ls /mnt/vda/f /mnt/vdb/f")
    scene.guests.remove(restored)


@pytest.mark.parametrize("place", MERGE_PLACES)
def test_clean_up(scene: Scene, place: str) -> None:
    """Points that are too old are merged away by the next backup, which dies while it does so."""
    scene.backup_and_compare()
    scene.backup_and_compare()
    scene.program.stop()
    scene.age_restore_points(days=10)
    scene.program.start(kill_at=place)
    before = scene.guest.agent.check("md5sum /mnt/vd?/f")
    scene.program.run("backup", scene.guest.name)
    scene.program.wait_killed()
    scene.program.start()
    job = scene.program.ended(scene.program.newest_job("Backup"))
    assert job["status"] == "Completed", job["errors"]
    assert scene.guest.agent.check("md5sum /mnt/vd?/f") == before
    # The newest of the old points was still the newest when clean-up began; it goes with the next backup.
    assert {len(scene.guest.chain(target)) for target in scene.guest.disks} <= {2, 3}
    scene.backup_and_compare()
    assert {len(scene.guest.chain(target)) for target in scene.guest.disks} <= {3, 4}


@pytest.mark.parametrize("place", DELETE_PLACES)
def test_delete_collection(scene: Scene, place: str) -> None:
    scene.protect()
    scene.backup_and_compare()
    scene.backup_and_compare()
    before = scene.guest.agent.check("md5sum /mnt/vd?/f")
    scene.restart(kill_at=place)
    scene.program.run("collection", "delete", scene.guest.name, "--yes", "--no-wait")
    scene.program.wait_killed()
    scene.program.start()
    job = scene.program.ended(scene.program.newest_job("DeleteRestorePoints"))
    assert job["status"] == "Completed", job
    assert scene.program.do("collection", "list") == []
    assert {t: scene.guest.chain(t) for t in scene.guest.disks} == {
        target: [path] for target, path in scene.guest.disks.items()
    }
    assert scene.guest.agent.check("md5sum /mnt/vd?/f") == before
    scene.backup_and_compare()


@pytest.mark.parametrize("place", FLATTEN_PLACES)
def test_unprotect(scene: Scene, place: str) -> None:
    scene.protect()
    scene.backup_and_compare()
    scene.backup_and_compare()
    before = scene.guest.agent.check("md5sum /mnt/vd?/f")
    scene.restart(kill_at=place)
    scene.program.run("unprotect", scene.guest.name, "--keep-data", "--no-wait")
    scene.program.wait_killed()
    scene.program.start()
    job = scene.program.ended(scene.program.newest_job("DisableBackup"))
    assert job["status"] == "Completed", job
    assert {t: scene.guest.chain(t) for t in scene.guest.disks} == {
        target: [path] for target, path in scene.guest.disks.items()
    }
    assert not list(scene.guest.disks["vda"].parent.glob(f"{scene.guest.disks['vda'].name}.overwinter-*"))
    assert scene.guest.agent.check("md5sum /mnt/vd?/f") == before
    scene.write()
