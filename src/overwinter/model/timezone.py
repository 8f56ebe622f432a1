"""Time zones by Windows and IANA names, and which moment a local time is on the days when clocks change."""

from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from tzlocal.windows_tz import win_tz

from overwinter.model.errors import PolicyInvalid

_SECOND = timedelta(seconds=1)


@cache
def _known_names() -> dict[str, str]:
    iana = {name.casefold(): name for name in available_timezones()}
    return iana | {windows.casefold(): name for windows, name in win_tz.items()}


@cache
def time_zone(name: str) -> ZoneInfo:
    """The zone with that name, Windows' (``India Standard Time``) or IANA's (``Asia/Kolkata``), in any case.

    Windows' names stand for the place that Unicode's CLDR gives for them. Raises PolicyInvalid.
    """
    known = _known_names().get(name.strip().casefold())
    if known is None:
        raise PolicyInvalid(
            f"{name[:80]!r} is no time zone. Write a Windows name like 'W. Europe Standard Time' or an IANA "
            "name like 'Europe/Berlin'; 'UTC' always works."
        )
    return ZoneInfo(known)


def moment_of(local: datetime, zone: ZoneInfo) -> datetime:
    """The moment, in UTC, at which clocks in the zone show ``local`` (without a zone).

    A time that clocks skip is the moment at which they skip it; one that they show twice is the first time.
    """
    moment = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None) == local:
        return moment
    return _change(local.replace(tzinfo=zone, fold=1).astimezone(UTC), moment, zone)


def local_of(moment: datetime, zone: ZoneInfo) -> datetime:
    """What clocks in the zone show at a moment, without a zone."""
    return moment.astimezone(zone).replace(tzinfo=None)


def _change(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The first second after ``before``, up to ``after``, at which the zone's offset is another."""
    offset = before.astimezone(zone).utcoffset()
    while after - before > _SECOND:
        middle = before + (after - before) // (2 * _SECOND) * _SECOND
        if middle.astimezone(zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after
