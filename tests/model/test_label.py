"""Which label a freeze earns: the highest only when all of it is true."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overwinter.model.freeze import FreezeMethod, FreezeRecord, MountRecord, NotFrozen, ScriptsRecord
from overwinter.model.label import earned
from overwinter.model.point import Consistency

FROZEN = MountRecord("/", "/dev/vda1", "ext4")
REST = ScriptsRecord(configured=True, at_rest=True)
FAILED = ScriptsRecord(configured=True, at_rest=False, code=301, message="the post-script failed")


def record(*mounts: MountRecord, scripts: ScriptsRecord | None = None) -> FreezeRecord:
    return FreezeRecord(FreezeMethod.EXTENSION, mounts=mounts, scripts=scripts or ScriptsRecord())


def skipped(why: NotFrozen, kind: str = "ext4") -> MountRecord:
    return MountRecord("/m", "/dev/vdb", kind, why, "words")


def test_all_frozen_is_file_system_consistent_and_with_scripts_application_consistent() -> None:
    assert earned(record(FROZEN)).consistency is Consistency.FILE_SYSTEM
    assert earned(record(FROZEN, scripts=REST)).consistency is Consistency.APPLICATION


def test_scripts_that_failed_cost_the_application_label_only() -> None:
    label = earned(record(FROZEN, scripts=FAILED))
    assert label.consistency is Consistency.FILE_SYSTEM
    assert "post-script" in label.shortfall


@pytest.mark.parametrize(
    "mount",
    [
        skipped(NotFrozen.FAILED),
        skipped(NotFrozen.HIDDEN),
        skipped(NotFrozen.UNFREEZABLE, "zfs"),
        skipped(NotFrozen.FUSE, "fuseblk"),
    ],
)
def test_data_on_the_vms_disks_that_moved_makes_it_crash_consistent(mount: MountRecord) -> None:
    label = earned(record(FROZEN, mount, scripts=REST))
    assert label.consistency is Consistency.CRASH
    assert "/m" in label.shortfall and "words" in label.shortfall


@pytest.mark.parametrize(
    "mount",
    [
        skipped(NotFrozen.READ_ONLY),
        skipped(NotFrozen.NETWORK, "nfs4"),
        skipped(NotFrozen.FUSE, "fuse.sshfs"),
        skipped(NotFrozen.STACKED, "overlay"),
        skipped(NotFrozen.LOOP),
        skipped(NotFrozen.EXCLUDED),
        skipped(NotFrozen.UNFREEZABLE, "vfat"),
    ],
)
def test_what_is_not_on_the_disks_or_needs_no_freeze_costs_nothing(mount: MountRecord) -> None:
    assert earned(record(FROZEN, mount)).consistency is Consistency.FILE_SYSTEM


def test_nothing_frozen_earns_nothing() -> None:
    assert earned(record()).consistency is Consistency.CRASH
    unfrozen = ScriptsRecord(configured=True, at_rest=True, freeze=False)
    assert "forbids" in earned(record(scripts=unfrozen)).shortfall


@given(
    st.lists(st.sampled_from([None, *NotFrozen]), max_size=6),
    st.booleans(),
    st.booleans(),
)
def test_a_label_below_the_best_always_has_its_reason(
    reasons: list[NotFrozen | None], configured: bool, at_rest: bool
) -> None:
    mounts = [MountRecord("/m", "d", "ext4", reason) for reason in reasons]
    scripts = ScriptsRecord(configured=configured, at_rest=at_rest, message="m")
    label = earned(record(*mounts, scripts=scripts))
    best = label.consistency is not Consistency.CRASH and (at_rest or not configured)
    assert best == (label.shortfall == "")
