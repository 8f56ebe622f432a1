"""Times and durations as ARM clients write and read them."""

from datetime import UTC, datetime, timedelta

from overwinter.model.errors import RequestError

#: Stands for "has not ended yet" where a field must hold a time.
NOT_YET = "0001-01-01T00:00:00"

#: What an item that was never backed up shows as the time of its last backup.
NEVER_BACKED_UP = "2001-01-01T00:00:00Z"

_US_FORMAT = "%Y-%m-%d %I:%M:%S %p"


def as_utc(moment: datetime) -> datetime:
    """The moment in UTC; one without a zone is taken to be UTC already."""
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


def stamp(moment: datetime) -> str:
    """ISO 8601 in UTC with ``Z``, with a fraction of a second where there is one."""
    return as_utc(moment).isoformat().replace("+00:00", "Z")


def stamp_or_none(moment: datetime | None) -> str | None:
    """Like `stamp`; null stays null."""
    return None if moment is None else stamp(moment)


def duration(length: timedelta) -> str:
    """ISO 8601: hours, minutes and seconds with up to two decimals (``PT1M31.78S``)."""
    hundredths = max(0, round(length.total_seconds() * 100))
    minutes, rest = divmod(hundredths, 6000)
    hours, minutes = divmod(minutes, 60)
    seconds = f"{rest / 100:.2f}".rstrip("0").rstrip(".")
    return "PT" + (f"{hours}H" if hours else "") + (f"{minutes}M" if minutes else "") + f"{seconds}S"


def parse(text: str) -> datetime:
    """A time from a client: ISO 8601, or ``2026-01-31 12:00:00 AM``; without a zone it is UTC.

    Raises RequestError when it is neither.
    """
    for read in (_iso, _us):
        try:
            return as_utc(read(text.strip()))
        except (ValueError, OverflowError):
            continue
    raise RequestError(f"{text[:60]!r} is not a time. Write it like 2026-01-31T14:00:00Z.")


def _iso(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _us(text: str) -> datetime:
    return datetime.strptime(text, _US_FORMAT)
