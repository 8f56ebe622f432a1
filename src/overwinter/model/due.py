"""Which backups are to start now. A pure rule: the scheduler asks it every few seconds."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from uuid import UUID

from overwinter.model.policy import PolicyContent
from overwinter.model.schedule import last_run
from overwinter.model.timezone import local_of, moment_of

#: Within this time the backups due at one moment start, one after the other.
SPREAD = timedelta(seconds=50)

#: A clock that was ahead by more than this was wrong; what it made the scheduler believe is forgotten.
MOST_AHEAD = timedelta(days=9)


@dataclass(frozen=True)
class ScheduledItem:
    """An item whose policy's runs are dealt with up to and with ``done_until``."""

    item_id: UUID
    policy: PolicyContent
    done_until: datetime


def due(items: Sequence[ScheduledItem], *, now: datetime, since: datetime) -> list[tuple[UUID, datetime]]:
    """Items to back up now, each with the moment for which the backup was scheduled.

    ``items`` are all of one host; each has its own delay within ``SPREAD``, so that they do not start
    together. Of several runs missed, the last one counts. ``since`` is when the service came up: from then
    on missed runs are spread. Outside its policy's backup window an item waits.
    """

    @cache
    def latest(policy: PolicyContent) -> datetime:
        return last_run(policy.schedule, policy.zone, now)

    found = []
    ordered = sorted(items, key=lambda item: item.item_id)
    for place, item in enumerate(ordered):
        moment = latest(item.policy)
        opened = _window_opened(item.policy, now)
        if moment <= item.done_until or opened is None:
            continue
        if now >= max(moment, since, opened) + SPREAD * place / len(ordered):
            found.append((item.item_id, moment))
    return found


def done_too_far(item: ScheduledItem, now: datetime) -> bool:
    """Whether the item was dealt with by a clock that was far ahead of the present one."""
    return item.done_until > now + MOST_AHEAD


def _window_opened(policy: PolicyContent, now: datetime) -> datetime | None:
    """When the policy's backup window opened that is open now; None when it is not."""
    window = policy.extension.backup_window
    local = local_of(now, policy.zone)
    if window is None:
        return datetime.min.replace(tzinfo=now.tzinfo)
    if not window.has(local.time()):
        return None
    opened = datetime.combine(local.date(), window.start)
    return moment_of(opened if opened <= local else opened - timedelta(days=1), policy.zone)
