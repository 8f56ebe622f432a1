"""Retention of restore points: what must never happen, over many histories."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from hypothesis import given
from hypothesis import strategies as st

from overwinter.model.point import Consistency, RestorePoint
from overwinter.model.retention import expired_restore_points

NOW = datetime(2026, 5, 1, tzinfo=UTC)


def points_at(ages_h: list[int]) -> list[RestorePoint]:
    return [
        RestorePoint(uuid4(), uuid4(), "p", NOW - timedelta(hours=age), Consistency.CRASH, None, ())
        for age in sorted(ages_h, reverse=True)
    ]


@given(st.lists(st.integers(0, 24 * 40), max_size=40, unique=True), st.integers(1, 30), st.data())
def test_expiry(ages_h: list[int], days: int, data: st.DataObject) -> None:
    points = points_at(ages_h)
    in_vault = {point.id for point in points if data.draw(st.booleans())}
    expired = expired_restore_points(
        points, now=NOW, days=days, limit=18, in_vault=lambda point: point.id in in_vault
    )
    kept = points[len(expired) :]
    assert expired == points[: len(expired)], "the oldest go first, without a gap"
    assert not points or points[-1] in kept, "the newest is always kept"
    for index, point in enumerate(kept[:-1]):
        in_time = NOW - point.created <= timedelta(days=days)
        assert in_time or not any(p.id in in_vault for p in kept[index:]), "nothing is kept too long"
    for index, point in enumerate(expired):
        in_time = NOW - point.created <= timedelta(days=days)
        newer = points[index:]
        assert in_time or any(p.id in in_vault for p in newer), "what only the snapshots hold is kept"
        assert not in_time or (point.id in in_vault and len(points) - index >= 18), "nothing goes too early"


def test_room_is_made_at_the_limit() -> None:
    points = points_at(list(range(18)))
    expired = expired_restore_points(points, now=NOW, days=5, limit=18, in_vault=lambda _point: True)
    assert expired == points[:1]


def test_a_point_only_the_snapshot_tier_holds_is_not_sacrificed() -> None:
    points = points_at(list(range(18)))
    expired = expired_restore_points(points, now=NOW, days=5, limit=18, in_vault=lambda _point: False)
    assert expired == []
