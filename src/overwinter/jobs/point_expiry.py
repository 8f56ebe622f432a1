"""The expiry of recovery points follows their policy: when a point is made, and when the policy changes."""

from datetime import datetime, timedelta
from uuid import UUID

from overwinter.catalog import items, points
from overwinter.catalog.database import Transaction
from overwinter.model.expiry import ON_DEMAND_DAYS, under_policy
from overwinter.model.job import SCHEDULED, Job
from overwinter.model.policy import Policy, PolicyContent

#: Key of a backup job's parameters: until when a person wants the point kept.
EXPIRES = "expires"


def apply(tx: Transaction, item_id: UUID, policy: PolicyContent) -> None:
    """Give all recovery points of an item the expiry and rule they have under a policy."""
    before = points.recovery_points_of(tx, item_id)
    for old, new in zip(before, under_policy(before, policy), strict=True):
        if new != old:
            points.put_recovery_point(tx, new)


def apply_to_items(tx: Transaction, policy: Policy) -> None:
    """A policy was changed: its active items' points follow. Stopped items keep what they have."""
    for item in items.every(tx, policy.vault_id):
        if item.policy_id == policy.id and item.is_active:
            apply(tx, item.id, policy.content)


def scheduled_for(job: Job) -> datetime | None:
    """The moment for which a backup was scheduled; None when a person asked for it."""
    moment = job.parameters.get(SCHEDULED)
    return None if moment is None else datetime.fromisoformat(str(moment))


def asked_expiry(job: Job, created: datetime) -> datetime | None:
    """Until when a point is kept that a person asked for; None for one of a schedule."""
    if job.is_scheduled:
        return None
    asked = job.parameters.get(EXPIRES)
    return created + timedelta(days=ON_DEMAND_DAYS) if asked is None else datetime.fromisoformat(str(asked))
