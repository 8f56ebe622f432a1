"""SIGKILL of the service at every place of a job: afterwards all is right.

One scene walks through all places with the same guest, because each of them must leave it fit for the next.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import overwinter.jobs
from testkit.ground import Ground
from testkit.job_kills import ELSEWHERE, KILLS, MORE_KILLS, Kill, kill
from testkit.job_scene import JobScene, job_scene

pytestmark = pytest.mark.libvirt


@pytest.fixture(scope="module")
def scene(ground: Ground) -> Iterator[JobScene]:
    with job_scene(ground) as made:
        yield made


def test_every_place_of_the_program_is_on_the_list() -> None:
    modules = Path(next(iter(overwinter.jobs.__path__))).glob("*.py")
    named = {name for module in modules for name in re.findall(r'\bplace\("([^"]+)"\)', module.read_text())}
    assert named == {each.place for each in (*KILLS, *MORE_KILLS)} | ELSEWHERE


#: One of each part of a backup, and a restore; the others take long.
FIRST = {
    "window.snapshot-taken",
    "transfer.committed",
    "restore.published-one",
    "merge.done",
}


@pytest.mark.parametrize(
    "each",
    [pytest.param(each, marks=() if each.place in FIRST else pytest.mark.long) for each in KILLS],
    ids=str,
)
def test_killed(scene: JobScene, each: Kill) -> None:
    kill(scene, each)
