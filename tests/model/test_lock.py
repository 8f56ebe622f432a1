"""Locks: what they cover and forbid."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overwinter.model.errors import ScopeLocked
from overwinter.model.lock import Access, Lock, LockLevel, LockScope, blocking, refuse

GROUPS = st.sampled_from(["a", "A", "b"])
SCOPES = st.builds(LockScope, GROUPS, st.sampled_from([None, "c", "C", "d"]))
LOCKS = st.builds(
    Lock,
    st.just(uuid4()),
    st.just("lk"),
    st.sampled_from(LockLevel),
    st.none(),
    st.just(datetime(2026, 1, 1, tzinfo=UTC)),
    SCOPES,
)


@given(LOCKS, SCOPES)
def test_read_only_forbids_more_and_a_group_covers_what_is_in_it(lock: Lock, scope: LockScope) -> None:
    same_group = lock.scope.resource_group.casefold() == scope.resource_group.casefold()
    names = [None if each.collection is None else each.collection.casefold() for each in (lock.scope, scope)]
    covered = same_group and (names[0] is None or names[0] == names[1])
    assert lock.scope.covers(scope) is covered
    assert lock.forbids(Access.DELETE, scope) is covered
    assert lock.forbids(Access.WRITE, scope) is (covered and lock.level is LockLevel.READ_ONLY)


@given(st.lists(LOCKS, max_size=4), st.lists(SCOPES, max_size=3), st.sampled_from(Access))
def test_the_first_lock_in_the_way_is_named(
    locks: list[Lock], scopes: list[LockScope], access: Access
) -> None:
    found = blocking(locks, access, scopes)
    in_the_way = [lock for lock in locks if any(lock.forbids(access, scope) for scope in scopes)]
    assert found == (in_the_way[0] if in_the_way else None)
    if found is None:
        refuse(locks, access, scopes, "Points")
    else:
        with pytest.raises(ScopeLocked, match=str(found.scope)):
            refuse(locks, access, scopes, "Points")


def test_scopes_read_as_in_arm() -> None:
    assert str(LockScope("g")) == "/resourceGroups/g"
    of_collection = "/resourceGroups/g/providers/Microsoft.Compute/restorePointCollections/c_1"
    assert str(LockScope("g", "c_1")) == of_collection
