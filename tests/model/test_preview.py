"""The preview agrees with what clean-up and retention would really do, day by day."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from uuid import uuid4

from hypothesis import given, settings
from hypothesis import strategies as st

from overwinter.model.default_policies import enhanced_content, standard_content
from overwinter.model.expiry import expired_recovery_points, under_policy
from overwinter.model.point import Consistency, RecoveryPoint, RestorePoint
from overwinter.model.policy import MAX_RESTORE_POINTS, PolicyContent
from overwinter.model.preview import end_of, preview
from overwinter.model.retention import expired_restore_points
from overwinter.model.schedule import runs
from overwinter.model.timezone import moment_of
from tests.model import policies

DAY = timedelta(days=1)
starts = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))


@settings(max_examples=60)
@given(policies.contents(), starts, st.integers(1, 60))
def test_days_are_what_really_happens(policy: PolicyContent, start: datetime, days: int) -> None:
    seen = preview(policy, start, days)
    assert len(seen.days) == days
    host: list[RestorePoint] = []
    vault: list[RecoveryPoint] = []
    most, crowded = 0, []
    for day in seen.days:
        end = end_of(day.day, policy.zone)
        begin = moment_of(datetime.combine(day.day, time()), policy.zone)
        for moment in runs(policy.schedule, policy.zone, start, end):
            if not begin <= moment < end:
                continue
            host.append(RestorePoint(uuid4(), uuid4(), "", moment, Consistency.CRASH, None, ()))
            host = without_expired(host, policy, moment)
            most = max(most, len(host))
            if len(host) > MAX_RESTORE_POINTS:
                crowded.append(moment)
            vault.append(in_vault(moment))
        vault = under_policy(vault, policy)
        for gone in expired_recovery_points(vault, now=end):
            vault.remove(gone)
        assert day.on_host == len(host)
        assert day.in_vault == Counter(point.rule for point in vault)
    assert (seen.most_on_host, list(seen.crowded)) == (most, crowded)


def without_expired(host: list[RestorePoint], policy: PolicyContent, now: datetime) -> list[RestorePoint]:
    """What real clean-up leaves when nothing but the days counts."""
    gone = expired_restore_points(
        host, now=now, days=policy.instant_days, limit=10**6, in_vault=lambda _point: True
    )
    return [point for point in host if point not in gone]


def in_vault(moment: datetime) -> RecoveryPoint:
    return RecoveryPoint(
        str(moment.timestamp()), uuid4(), moment, Consistency.CRASH, None, None, "m", scheduled=moment
    )


def test_azures_policies() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    standard = preview(standard_content(), start, 400)
    assert (len(standard.points), standard.most_on_host, standard.crowded) == (400, 3, ())
    assert standard.days[-1].in_vault == {"Daily": 30}
    enhanced = preview(enhanced_content(), start, 10)
    assert enhanced.most_on_host == 6 * 7 + 1
    assert enhanced.crowded[0] == enhanced.points[MAX_RESTORE_POINTS].made


def test_arithmetic_of_the_articles() -> None:
    """Backups a day and days on the host: four a day for five days do not fit, nor do three for seven."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    for times, days, fits in ((1, 5, True), (3, 5, True), (4, 5, False), (2, 8, True), (3, 7, False)):
        schedule = replace(enhanced_content().schedule, interval=24 // times)
        policy = replace(enhanced_content(), schedule=schedule, instant_days=days)
        assert (preview(policy, start, 30).crowded == ()) is fits
