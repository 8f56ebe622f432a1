"""A policy's preview as a picture: how many points there are over time, and which in the end."""

from calendar import monthrange
from collections.abc import Sequence
from datetime import date, timedelta

from overwinter.model.long_term import RuleName
from overwinter.model.preview import Preview, PreviewedPoint, end_of
from overwinter.model.timezone import local_of

_COLUMNS = 60

_BARS = "▁▂▃▄▅▆▇█"

_LETTERS = {
    RuleName.DAILY: "D",
    RuleName.WEEKLY: "W",
    RuleName.MONTHLY: "M",
    RuleName.YEARLY: "Y",
    RuleName.INSTANT: "i",
}

_LEGEND = "D W M Y  in the vault, by its daily, weekly, monthly or yearly rule    i  until its snapshot goes"
_MORE_LEGEND = "+  also on the host    ·  the day's points are gone again"


def picture(seen: Preview) -> str:
    """Lines for people, about 80 columns wide."""
    return "\n".join([*_curves(seen), "", *_calendar(seen)])


def _curves(seen: Preview) -> list[str]:
    rules = [name for name in RuleName if any(day.in_vault.get(name) for day in seen.days)]
    rows = [("on the host", [day.on_host for day in seen.days])]
    rows += [(f"vault: {name}", [day.in_vault.get(name, 0) for day in seen.days]) for name in rules]
    columns = min(_COLUMNS, len(seen.days))
    first, last = seen.days[0].day, seen.days[-1].day
    width = max(len(name) for name, _ in rows)
    lines = [f"{'POINTS':<{width}}  {first!s:<{columns - 10}}{last!s:>10}  {'MOST':>5}  {'END':>5}"]
    for name, counts in rows:
        lines.append(f"{name:<{width}}  {_bars(counts, columns)}  {max(counts):>5}  {counts[-1]:>5}")
    return lines


def _bars(counts: Sequence[int], columns: int) -> str:
    """Each column shows the most of its days, against the most of all; no mark means none."""
    most = max(counts) or 1
    pieces = [
        max(counts[place * len(counts) // columns : (place + 1) * len(counts) // columns])
        for place in range(columns)
    ]
    return "".join(" " if piece == 0 else _BARS[(piece * len(_BARS) - 1) // most] for piece in pieces)


def _calendar(seen: Preview) -> list[str]:
    """A month a line, two columns a day: the letter of the rule that keeps the day's point longest."""
    first, last = seen.days[0].day, seen.days[-1].day
    marks = _marks(seen)
    lines = [
        f"POINTS THERE ARE AT THE END OF {last}",
        f"{'':9}{''.join(f'{day:<2}' for day in range(1, 32))}",
    ]
    month = first.replace(day=1)
    while month <= last:
        length = monthrange(month.year, month.month)[1]
        cells = [marks.get(month.replace(day=day), "  ") for day in range(1, length + 1)]
        lines.append(f"{month:%Y-%m}  {''.join(cells)}".rstrip())
        month += timedelta(days=length)
    return [*lines, "", _LEGEND, _MORE_LEGEND]


def _marks(seen: Preview) -> dict[date, str]:
    zone = seen.policy.zone
    by_day: dict[date, list[PreviewedPoint]] = {}
    for point in seen.points:
        by_day.setdefault(local_of(point.made, zone).date(), []).append(point)
    end = end_of(seen.days[-1].day, zone)
    newest = seen.points[-1:]
    marks = {}
    for day, points in by_day.items():
        there = [point for point in points if point.kept.until > end or point in newest]
        longest = max(there, key=lambda point: point.kept.until, default=None)
        on_host = any(point.leaves_host is None for point in points)
        letter = "·" if longest is None else _LETTERS[longest.kept.rule]
        marks[day] = letter + ("+" if on_host else " ")
    return marks
