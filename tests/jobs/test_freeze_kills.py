"""A little of the torture of the freeze; ``make torture-freeze`` is the whole of it."""

import random
import time
from collections.abc import Iterator
from threading import Timer

import libvirt
import pytest

from overwinter.model.point import Consistency
from testkit.freeze_kills import BreakSocket, KillProcesses
from testkit.freeze_scene import LIMIT_S, FreezeScene, Kill, freeze_scene
from testkit.freeze_service import KillService
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


def test_the_judge_tells_a_guest_that_stays_frozen_from_one_whose_freeze_came_late(
    scene: FreezeScene,
) -> None:
    now = time.monotonic()
    assert not scene.is_frozen_after_limit(lambda: True, since=now)
    scene.guest.agent.command("guest-fsfreeze-freeze")
    thaw = Timer(2, scene.guest.agent.command, ("guest-fsfreeze-thaw",))
    thaw.start()
    assert not scene.is_frozen_after_limit(lambda: False, since=now - LIMIT_S)
    thaw.join()
    scene.guest.agent.command("guest-fsfreeze-freeze")
    assert scene.is_frozen_after_limit(lambda: True, since=now - LIMIT_S)
    scene.guest.agent.command("guest-fsfreeze-thaw")


@pytest.mark.parametrize(
    "kill",
    [
        KillProcesses("service and extension", extension=(0, 1), service=True),
        pytest.param(BreakSocket(), marks=pytest.mark.long),
    ],
    ids=lambda kill: kill.name,
)
def test_ten_seconds_after_a_kill_nobody_is_frozen_and_no_label_is_wrong(
    scene: FreezeScene, kill: Kill
) -> None:
    outcome = scene.window(random.Random(kill.name), kill)
    assert not outcome.frozen_after_limit
    assert not outcome.is_wrong


@pytest.mark.long
def test_a_service_that_died_in_the_window_claims_nothing_that_the_images_deny(scene: FreezeScene) -> None:
    outcome = KillService("overwinter serve").window(scene, random.Random(1))
    assert outcome.taken
    assert not outcome.frozen_after_limit
    assert not outcome.is_wrong
