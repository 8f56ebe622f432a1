"""How commands speak: tables for people on stdout, or one JSON document; failures with what to do."""

import json
from collections.abc import Iterable
from datetime import datetime

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from overwinter.cli.failure import Failure
from overwinter.cli.views import to_json

Cell = str | int | bool | datetime | None

#: Width of the lines that are not read on a terminal.
_UNBOUNDED = 1000

_UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]


class Output:
    """One command's voice. With ``as_json`` stdout holds exactly one JSON document, failures included."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.out = Console(highlight=False, emoji=False, soft_wrap=True)
        if not self.out.is_terminal:
            self.out.width = _UNBOUNDED
        self.err = Console(stderr=True, highlight=False, emoji=False, soft_wrap=True)

    def show(self, value: object, *parts: RenderableType) -> None:
        """The result of a command: ``value`` as JSON, or the parts for people."""
        if self.as_json:
            self.out.print(json.dumps(to_json(value), indent=1), markup=False)
            return
        for part in parts:
            if isinstance(part, str):
                self.out.print(harmless(part), markup=False)
            elif not isinstance(part, Table) or part.row_count:
                self.out.print(part, soft_wrap=False)

    def hint(self, text: str) -> None:
        """A sentence beside the result, for people only."""
        if not self.as_json:
            self.err.print(harmless(text), markup=False)

    def failure(self, failure: Failure) -> None:
        """What went wrong, and what to do."""
        if self.as_json:
            document = {
                "error": {
                    "code": failure.code,
                    "message": failure.message,
                    "recommendations": list(failure.recommendations),
                }
            }
            self.out.print(json.dumps(document, indent=1), markup=False)
            return
        for line in [f"Error {failure.code}: {failure.message}", *advice(failure.recommendations)]:
            self.err.print(harmless(line), markup=False)


def advice(sentences: Iterable[str]) -> list[str]:
    """Recommendations as lines."""
    return [f"  → {sentence}" for sentence in sentences]


def harmless(line: str) -> str:
    """A line without control characters: names and messages may come from a guest, and terminals obey."""
    return "".join(
        letter if letter.isprintable() or letter == "\n" else "\N{REPLACEMENT CHARACTER}" for letter in line
    )


def table(*headings: str, rows: Iterable[Iterable[Cell]], whole: str = "") -> Table:
    """A plain table, one line per row; numbers to the right.

    On a narrow terminal cells are folded, but those of the column ``whole``, which people copy, are not.
    """
    made = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    content = [list(row) for row in rows]
    for place, heading in enumerate(headings):
        is_number = bool(content) and all(
            isinstance(row[place], int) and not isinstance(row[place], bool) for row in content
        )
        made.add_column(
            heading,
            justify="right" if is_number else "left",
            overflow="fold",
            no_wrap=heading == whole,
            min_width=max((len(text(row[place])) for row in content), default=0)
            if heading == whole
            else None,
        )
    for row in content:
        made.add_row(*(escape(text(cell)) for cell in row))
    return made


def facts(**values: Cell) -> Table:
    """Names and values of one thing, one line each."""
    return facts_of((_heading(name), Text(text(value))) for name, value in values.items())


def _heading(name: str) -> str:
    words = name.replace("_", " ")
    return "VM" if words == "vm" else words[:1].upper() + words[1:]


def facts_of(rows: Iterable[tuple[str, Text]]) -> Table:
    """The same from ready headings and texts."""
    made = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    made.add_column(style="bold")
    made.add_column(overflow="fold")
    for name, value in rows:
        made.add_row(name, value)
    return made


def text(cell: Cell) -> str:
    """A value as people read it; nothing is a dash, times are in the zone of this machine."""
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, datetime):
        return f"{cell.astimezone():%Y-%m-%d %H:%M:%S}"
    return "-" if cell is None or cell == "" else harmless(str(cell))


def size(count: int) -> str:
    """Bytes as people read them: ``1.5 GiB``."""
    amount = float(count)
    for unit in _UNITS[:-1]:
        if abs(amount) < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" or amount == int(amount) else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} {_UNITS[-1]}"


def length(seconds: float) -> str:
    """A length of time as people read it: ``1 min 32 s``."""
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole % 3600 // 60, whole % 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
