"""A little of the torture of the freeze; ``make torture-freeze`` is the whole of it."""

import random
from collections.abc import Iterator

import libvirt
import pytest

from overwinter.model.point import Consistency
from testkit.freeze_kills import BreakSocket, KillProcesses
from testkit.freeze_scene import FreezeScene, Kill, freeze_scene
from testkit.ground import Ground

pytestmark = pytest.mark.libvirt


@pytest.fixture(scope="module")
def scene(ground: Ground) -> Iterator[FreezeScene]:
    with freeze_scene(ground) as opened:
        yield opened


def test_the_judge_tells_a_frozen_image_from_one_that_was_not(scene: FreezeScene) -> None:
    outcome = scene.window(random.Random(1))
    assert (outcome.consistency, outcome.clean, outcome.is_wrong) == (Consistency.FILE_SYSTEM, True, False)
    flags = libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_NO_METADATA
    scene.guest.domain.snapshotCreateXML("<domainsnapshot/>", flags)  # and nobody freezes
    assert not any(scene.was_frozen(target) for target in scene.guest.disks)


@pytest.mark.parametrize(
    "kill",
    [
        KillProcesses("service and extension", extension=(0, 1), service=True),
        BreakSocket(),
    ],
    ids=lambda kill: kill.name,
)
def test_ten_seconds_after_a_kill_nobody_is_frozen_and_no_label_is_wrong(
    scene: FreezeScene, kill: Kill
) -> None:
    outcome = scene.window(random.Random(kill.name), kill)
    assert not outcome.frozen_after_limit
    assert not outcome.is_wrong
