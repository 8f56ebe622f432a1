"""Jobs of every kind cancelled at random moments: how long that takes, and what is left afterwards."""

import random
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from uuid import uuid4

from testkit.ground import Ground
from testkit.job_scene import JobScene, job_scene
from testkit.waiting import wait_until

#: Starts a job and gives its id.
Start = Callable[[JobScene], str]

#: Seconds after its start in which a job is cancelled; jobs here take about that long.
_WITHIN_S = 1.2


def cancels(ground: Ground, rounds: int, seed: int) -> Iterator[tuple[str, Callable[[], float]]]:
    """Names and acts; an act cancels one job and gives the seconds from the request to the job's end."""
    chance = random.Random(seed)
    with job_scene(ground) as scene:
        scene.backup_and_compare()
        for _ in range(rounds):
            for start in (_backup, _restore, _verify, _delete_collection, _unprotect):
                delay = chance.uniform(0, _WITHIN_S)
                name = f"{start.__name__[1:].replace('_', ' ')} cancelled after {delay:.1f} s"
                yield name, partial(_cancel, scene, start, delay)


def _cancel(scene: JobScene, start: Start, delay: float) -> float:
    # Much to copy, so that every phase takes a while.
    scene.guest.agent.check("for d in /mnt/vd?; do dd if=/dev/urandom of=$d/g bs=64k count=500; done; sync")
    before = scene.content()
    job = start(scene)
    time.sleep(delay)
    asked = time.monotonic()
    answer = scene.program.run("job", "cancel", job)
    ended = _ended(scene, job)
    seconds = time.monotonic() - asked
    scene.check_alive()
    assert scene.content() == before
    if scene.program.do("vault", "show", "vault1")["items"][0]["state"] == "ProtectionStopped":
        scene.program.do("unprotect", scene.guest.name, "--keep-data")
        scene.protect()
    scene.backup_and_compare()
    scene.check_sound()
    # One that had ended before it was asked to says nothing of how long that takes.
    return seconds if answer.code == 0 and ended["status"] == "Cancelled" else 0.0


def _ended(scene: JobScene, job: str) -> Any:
    """The job once it has ended, looked at often."""
    wait_until(lambda: scene.program.do("job", "show", job)["ended"] is not None, f"{job} does not end", 240)
    return scene.program.do("job", "show", job)


def _backup(scene: JobScene) -> str:
    return str(scene.program.do("backup", scene.guest.name)["id"])


def _restore(scene: JobScene) -> str:
    place = scene.directory / f"cancelled-{uuid4().hex[:6]}"
    place.mkdir()
    words = ("--point", "latest", "--disks", str(place), "--no-wait")
    return str(scene.program.do("restore", scene.guest.name, *words)["id"])


def _verify(scene: JobScene) -> str:
    return str(scene.program.do("vault", "verify", "vault1", "--read-data", "--no-wait")["id"])


def _delete_collection(scene: JobScene) -> str:
    return str(scene.program.do("collection", "delete", scene.guest.name, "--yes", "--no-wait")["id"])


def _unprotect(scene: JobScene) -> str:
    return str(scene.program.do("unprotect", scene.guest.name, "--keep-data", "--no-wait")["id"])
