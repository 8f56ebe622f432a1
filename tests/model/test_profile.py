"""Support profiles: data that fits the code book, and the differences of the editions."""

from dataclasses import replace
from uuid import uuid4

import pytest

from overwinter.codebook import book
from overwinter.jobs import disk_rules
from overwinter.model.default_policies import new_policy, standard_content
from overwinter.model.errors import DiskSizeUnsupported, NotFound
from overwinter.model.policy import PolicyType
from overwinter.model.profile import OVERWINTER, PROFILES, SupportProfile, find_profile
from overwinter.model.protection import StackVersion
from overwinter.model.vm import Disk, EncryptedDisk, Firmware, PowerState, VirtualMachine

GIB = 1 << 30
TIB = 1 << 40
V1, V2 = StackVersion.V1, StackVersion.V2


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_profiles_speak_the_language_of_the_book(profile: SupportProfile) -> None:
    assert find_profile(profile.name) is profile
    for code, other in profile.other_codes.items():
        assert book.find(code) is not None and book.find(other) is not None
        assert profile.code(code) == other
    assert profile.disk_limits(profile.new_stack) and profile.disk_limits(V1)


def test_an_unknown_profile_names_those_there_are() -> None:
    with pytest.raises(NotFound, match=r"2018, 2019, 2020, 2021"):
        find_profile("1999")


@pytest.mark.parametrize(
    ("name", "asked", "kept"),
    [("2018", 2, 7), ("2018", 30, 7), ("2019", 9, 5), ("2021", 1, 1), ("2021", 5, 5), ("overwinter", 3, 3)],
)
def test_days_in_the_snapshot_tier(name: str, asked: int, kept: int) -> None:
    policy = new_policy(uuid4(), uuid4(), "p", standard_content(instant_days=asked))
    assert find_profile(name).kept_days(policy) == kept
    enhanced = replace(policy, content=replace(policy.content, type=PolicyType.V2))
    # Enhanced policies came after these editions; where one exists all the same, it is taken at its word.
    assert find_profile(name).kept_days(enhanced) == asked


def machine(size: int, encrypted: int = 0) -> VirtualMachine:
    return VirtualMachine(
        uuid=uuid4(),
        name="web01",
        state=PowerState.STOPPED,
        persistent=True,
        vcpus=1,
        memory_bytes=GIB,
        firmware=Firmware.BIOS,
        disks=(Disk("vda", -1, size, ()),),
        encrypted_disks=(EncryptedDisk("vdb", encrypted, ()),) if encrypted else (),
    )


@pytest.mark.parametrize(
    ("name", "stack", "largest", "largest_encrypted"),
    [
        ("2018", V1, 1023 * GIB, 1023 * GIB),
        ("2018", V2, 4 * TIB, 4 * TIB),
        ("2019", V2, 4095 * GIB, 4095 * GIB),
        ("2019", V1, 4095 * GIB, 4095 * GIB),
        ("2020", V2, 32 * TIB, 4 * TIB),
        ("2021", V2, 32 * TIB, 4 * TIB),
    ],
)
def test_disks_up_to_exactly_the_limit(
    name: str, stack: StackVersion, largest: int, largest_encrypted: int
) -> None:
    profile = find_profile(name)
    disk_rules.check(machine(largest, largest_encrypted), profile, stack)
    for size, encrypted in ((largest + 512, 0), (largest, largest_encrypted + 512)):
        with pytest.raises(DiskSizeUnsupported, match=f"profile {name}"):
            disk_rules.check(machine(size, encrypted), profile, stack)


def test_ours_has_no_limit() -> None:
    disk_rules.check(machine(1 << 60, 1 << 60), OVERWINTER, V2)
