"""SIGKILL of the service at every place of every kind of job: afterwards the job is done and all is right."""

from collections.abc import Callable
from dataclasses import dataclass

from testkit.job_scene import DataLost, JobScene, Orphan

_DONE = ("Completed", "CompletedWithWarnings")


@dataclass(frozen=True)
class Kill:
    """One place, and the kind of job in which the service dies there."""

    place: str
    act: Callable[[JobScene, str], None]

    def __str__(self) -> str:
        return self.place


def _backup(scene: JobScene, place: str) -> None:
    scene.write()
    scene.restart(kill_at=place)
    scene.program.run("backup", scene.guest.name)  # the service may die before it has answered
    scene.program.wait_killed()
    scene.check_alive()  # with the service dead: a write blocks while the guest is frozen
    scene.write()
    scene.program.start()
    scene.ended("Backup", *_DONE)
    if len(scene.depths()) != 1:
        raise Orphan(f"one snapshot over all disks or none, but the chains have {scene.depths()}")
    scene.backup_and_compare()


def _restore(scene: JobScene, place: str) -> None:
    if not scene.program.do("points", scene.guest.name):
        scene.backup_and_compare()
    name = f"{scene.guest.name}-{place.replace('.', '-')}"
    scene.restart(kill_at=place)
    scene.program.run("restore", scene.guest.name, "--point", "latest", "--as", name, "--no-wait")
    scene.program.wait_killed()
    scene.program.start()
    scene.ended("Restore", "Completed")
    restored = scene.ground.guests.find(name)
    restored.start()
    if not restored.agent.check("ls /mnt/vda/f /mnt/vdb/f"):
        raise DataLost("the restored guest lacks its files")
    scene.ground.guests.remove(restored)


def _clean_up(scene: JobScene, place: str) -> None:
    """Points that are too old are merged away by the next backup, which dies while it does so."""
    scene.backup_and_compare()
    scene.backup_and_compare()
    scene.program.stop()
    scene.age_restore_points(days=10)
    scene.program.start(kill_at=place)
    before = scene.content()
    scene.program.run("backup", scene.guest.name)
    scene.program.wait_killed()
    scene.program.start()
    scene.ended("Backup", "Completed")
    _same(scene, before)
    # The newest of the old points was still the newest when clean-up began; it goes with the next backup.
    assert scene.depths() <= {2, 3}
    scene.backup_and_compare()
    assert scene.depths() <= {3, 4}


def _unprotect(scene: JobScene, place: str) -> None:
    _leave(scene, place, "DisableBackup", "--keep-data")
    _come_back(scene)


def _delete_data(scene: JobScene, place: str) -> None:
    known = _leave(scene, place, "DeleteBackupData", "--delete-data")
    if [
        each["id"] for each in scene.program.do("points", scene.guest.name) if each["deleted_until"]
    ] != known:
        raise DataLost("deleted points cannot be had back")
    scene.program.do("undelete", scene.guest.name)
    _come_back(scene)


def _undelete(scene: JobScene, place: str) -> None:
    scene.backup_and_compare()
    known = [each["id"] for each in scene.program.do("points", scene.guest.name)]
    scene.program.do("unprotect", scene.guest.name, "--delete-data")
    scene.restart(kill_at=place)
    scene.program.run("undelete", scene.guest.name, "--no-wait")
    scene.program.wait_killed()
    scene.program.start()
    scene.ended("Undelete", "Completed")
    back = [each["id"] for each in scene.program.do("points", scene.guest.name) if not each["deleted_until"]]
    if back != known:
        raise DataLost("points did not come back")
    _come_back(scene)


def _leave(scene: JobScene, place: str, operation: str, *how: str) -> list[str]:
    """Stop protection, by a service that dies at the place; gives the points there were."""
    scene.backup_and_compare()
    scene.backup_and_compare()
    before = scene.content()
    known = [each["id"] for each in scene.program.do("points", scene.guest.name)]
    scene.restart(kill_at=place)
    scene.program.run("unprotect", scene.guest.name, *how, "--no-wait")
    scene.program.wait_killed()
    scene.program.start()
    scene.ended(operation, "Completed")
    flat = {target: scene.guest.chain(target) for target in scene.guest.disks}
    if flat != {target: [path] for target, path in scene.guest.disks.items()}:
        raise Orphan(f"the chains are not flat: {flat}")
    _same(scene, before)
    scene.write()
    return known


def _come_back(scene: JobScene) -> None:
    scene.protect()
    scene.backup_and_compare()


def _delete_collection(scene: JobScene, place: str) -> None:
    scene.backup_and_compare()
    scene.backup_and_compare()
    before = scene.content()
    scene.restart(kill_at=place)
    scene.program.run("collection", "delete", scene.guest.name, "--yes", "--no-wait")
    scene.program.wait_killed()
    scene.program.start()
    scene.ended("DeleteRestorePoints", "Completed")
    if left := scene.program.do("collection", "list"):
        raise Orphan(f"collections: {left}")
    if scene.depths() != {1}:
        raise Orphan("the chains are not flat")
    _same(scene, before)
    scene.backup_and_compare()


def _same(scene: JobScene, before: str) -> None:
    if scene.content() != before:
        raise DataLost("the guest's files have changed")


KILLS = [
    *(
        Kill(place, _backup)
        for place in (
            "backup.preflight",
            "snapshot.noted",
            "window.frozen",
            "window.snapshot-taken",
            "snapshot.taken",
            "transfer.stored",
            "transfer.committed",
        )
    ),
    *(
        Kill(place, _restore)
        for place in ("restore.disk-written", "restore.written", "restore.published-one", "restore.defined")
    ),
    *(Kill(place, _clean_up) for place in ("merge.noted", "merge.done")),
    Kill("clean-up.point-removed", _delete_collection),
    *(Kill(place, _unprotect) for place in ("protection.flatten", "protection.disk-flat")),
    Kill("deletion.point", _delete_data),
]

#: What only the torture does with processes; tests/jobs/test_protection_kills.py does it without.
MORE_KILLS = [
    *(
        Kill(place, _delete_data)
        for place in (
            "protection.flatten",
            "protection.disk-flat",
            "deletion.noted",
            "deletion.all-points",
            "deletion.recorded",
        )
    ),
    *(Kill(place, _undelete) for place in ("undelete.point", "undelete.recorded")),
]

#: Places of jobs on whole vaults; they have kills of their own (tests/e2e/test_vaults.py).
ELSEWHERE = {"repair.done", "copy.done"}


def kill(scene: JobScene, each: Kill) -> None:
    """Let the service die at one place, and check everything afterwards."""
    each.act(scene, each.place)
    scene.check_sound()
