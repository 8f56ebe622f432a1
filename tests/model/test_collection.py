"""Which collection a point goes into, and how groups are named."""

from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overwinter.model.collection import COLLECTIONS_PER_GROUP, GroupNaming, collection_for, group_naming
from overwinter.model.default_policies import standard_content
from overwinter.model.point import RestorePointCollection

OWN = GroupNaming("AzureBackupRG_local_")


@pytest.mark.parametrize(
    ("prefix", "suffix", "first"),
    [
        (None, None, "AzureBackupRG_local_1"),
        (None, "x", "AzureBackupRG_local_1"),
        ("lab", None, "lab1"),
        ("lab-", "-rp", "lab-1-rp"),
    ],
)
def test_the_policy_names_the_groups(prefix: str | None, suffix: str | None, first: str) -> None:
    content = replace(standard_content(), group_prefix=prefix, group_suffix=suffix)
    naming = group_naming(content, "local")
    assert naming.group(1) == first
    assert naming.names(first.upper()) and not naming.names(f"{first}x") and not naming.names("other")


def test_a_vm_stays_in_its_collection_until_the_group_changes() -> None:
    vm = uuid4()
    known: list[RestorePointCollection] = []
    other = GroupNaming("lab-")
    for naming in (OWN, OWN, other, other, OWN):
        found = collection_for(vm, "web01", naming, known, uuid4())
        known += [] if found in known else [found]
    assert [(each.resource_group, each.name) for each in known] == [
        ("AzureBackupRG_local_1", "AzureBackupRG_web01_1"),
        ("lab-1", "AzureBackupRG_web01_2"),
    ]
    assert collection_for(vm, "renamed", OWN, known, uuid4()) == known[0]


def test_a_full_group_is_followed_by_the_next_number() -> None:
    known = [collection_for(uuid4(), f"vm{n}", OWN, [], uuid4()) for n in range(COLLECTIONS_PER_GROUP - 1)]
    groups = []
    for _ in range(2):
        known.append(collection_for(uuid4(), "last", OWN, known, uuid4()))
        groups.append(known[-1].resource_group)
    assert groups == ["AzureBackupRG_local_1", "AzureBackupRG_local_2"]


NAMES = st.sampled_from(["a", "A", "a_1", "a_1_2", "b"])


@given(st.lists(st.tuples(st.integers(0, 3), NAMES, st.booleans()), max_size=30))
def test_no_two_collections_of_a_group_have_one_name(steps: list[tuple[int, str, bool]]) -> None:
    """VMs of equal names, removed and made again, renamed, under changing policies."""
    known: list[RestorePointCollection] = []
    for number, name, elsewhere in steps:
        naming = GroupNaming("lab-") if elsewhere else OWN
        found = collection_for(UUID(int=number), name, naming, known, uuid4())
        assert found.vm_uuid == UUID(int=number)
        assert naming.names(found.resource_group)
        if found not in known:
            assert found.vm_name == name
            known.append(found)
    names = [(each.resource_group.casefold(), each.name.casefold()) for each in known]
    assert len(set(names)) == len(names)
