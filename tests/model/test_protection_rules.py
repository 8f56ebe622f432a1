"""The pure rules of protection's life: what expires, what is shorter, which disks, what is final."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overwinter.model.default_policies import standard_content
from overwinter.model.disk_selection import DiskSelection
from overwinter.model.errors import RequestError, VaultImmutable, VaultSettingIrreversible
from overwinter.model.expiry import expired_recovery_points
from overwinter.model.long_term import EveryDay, Rule, RuleName
from overwinter.model.point import Consistency, RecoveryPoint
from overwinter.model.policy import PolicyContent
from overwinter.model.retention_change import is_shorter
from overwinter.model.vault_rules import Immutability, SoftDelete, VaultRules

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)
DAYS = st.integers(-50, 50)


@st.composite
def recovery_points(draw: st.DrawFn) -> list[RecoveryPoint]:
    made = []
    for number, created in enumerate(draw(st.lists(DAYS, max_size=8, unique=True))):
        made.append(
            RecoveryPoint(
                id=str(number),
                item_id=uuid4(),
                created=NOW + created * DAY,
                consistency=Consistency.CRASH,
                expires=draw(st.none() | DAYS.map(lambda days: NOW + days * DAY)),
                restore_point=draw(st.none() | st.just(uuid4())),
                manifest=draw(st.none() | st.just("m")),
                deleted_until=draw(st.none() | st.just(NOW + DAY)),
            )
        )
    return made


@given(recovery_points())
def test_what_expires(points: list[RecoveryPoint]) -> None:
    going = expired_recovery_points(points, now=NOW)
    living = [point for point in points if point.deleted_until is None]
    newest = max(living, key=lambda point: point.created, default=None)
    for point in points:
        past = point.expires is not None and point.expires <= NOW
        later = [each for each in living if each.manifest and each.created > point.created]
        wanted = (
            past
            and point in living
            and point.manifest
            and not point.restore_point
            and point != newest
            and later
        )
        assert (point in going) == bool(wanted)
    assert going == sorted(going, key=lambda point: point.created)


def content(*more: Rule, daily_days: int = 30) -> PolicyContent:
    plain = standard_content(daily_days=daily_days)
    return replace(plain, rules=(*plain.rules, *more))


def test_shorter_retention() -> None:
    plain, weekly = content(), content(Rule(RuleName.WEEKLY, 12, EveryDay()))
    assert not is_shorter(plain, plain)
    assert not is_shorter(plain, weekly)
    assert is_shorter(weekly, plain), "a rule was dropped"
    assert is_shorter(weekly, content(Rule(RuleName.WEEKLY, 11, EveryDay())))
    assert is_shorter(plain, content(daily_days=29))


@given(st.lists(st.integers(0, 5)), st.booleans())
def test_the_system_disk_is_always_covered(luns: list[int], included: bool) -> None:
    selection = DiskSelection(tuple(luns), included=included)
    assert selection.covers(-1)
    for lun in range(6):
        assert selection.covers(lun) == (included if lun in luns else not included)


@given(st.sampled_from(SoftDelete), st.sampled_from(SoftDelete), st.integers(10, 185))
def test_changes_of_rules(old: SoftDelete, new: SoftDelete, days: int) -> None:
    before, after = VaultRules(old), VaultRules(new, days)
    if not 14 <= days <= 180:
        with pytest.raises(RequestError):
            before.check_change(after)
    elif old is SoftDelete.ALWAYS_ON and new is not old:
        with pytest.raises(VaultSettingIrreversible):
            before.check_change(after)
    else:
        before.check_change(after)
    assert after.kept_until(NOW) == NOW + (0 if new is SoftDelete.DISABLED else days) * DAY


@given(st.sampled_from(Immutability), st.none() | DAYS)
def test_what_may_be_deleted(immutability: Immutability, days: int | None) -> None:
    expires = None if days is None else NOW + days * DAY
    rules = VaultRules(immutability=immutability)
    if immutability is Immutability.DISABLED or (days is not None and days <= 0):
        rules.refuse_deletion("It", expires, NOW)
    else:
        with pytest.raises(VaultImmutable):
            rules.refuse_deletion("It", expires, NOW)
