"""``$filter``: the small grammar of the backup API, ``key eq 'value'`` joined by ``and``, over list rows."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime

from overwinter.api import times
from overwinter.model.errors import RequestError

Row = dict[str, object]

#: Decides for one row and the value of one condition.
Test = Callable[[Row, str], bool]

_CONDITION = re.compile(r"\s*(?P<key>\w+)\s+eq\s+'(?P<value>(?:[^']|'')*)'\s*", re.IGNORECASE)
_AND = re.compile(r"and\b", re.IGNORECASE)


def parse(text: str) -> list[tuple[str, str]]:
    """Conditions of a filter as (key, value); a doubled quote in a value stands for one.

    Raises RequestError when the text is not of the grammar.
    """
    conditions: list[tuple[str, str]] = []
    place = 0
    while place < len(text) or not conditions:
        match = _CONDITION.match(text, place)
        if match is None:
            raise RequestError(
                f"Cannot read the filter {text[:200]!r}. Write it like: key eq 'value' and key eq 'value'."
            )
        conditions.append((match["key"], match["value"].replace("''", "'")))
        place = match.end()
        if place < len(text):
            joint = _AND.match(text, place)
            if joint is None or joint.end() == len(text):
                raise RequestError(
                    f"Cannot read the filter {text[:200]!r} from position {place}: expected 'and'."
                )
            place = joint.end()
    return conditions


def select(text: str | None, rows: list[Row], special: Mapping[str, Test] | None = None) -> list[Row]:
    """The rows that meet every condition of the filter; all when there is none.

    A key names a property of the rows (letter case does not matter) or one of ``special``. Raises
    RequestError for a filter that cannot be read or a key that no row has.
    """
    if text is None or not text.strip():
        return rows
    tests = {key.casefold(): test for key, test in (special or {}).items()}
    for key, value in parse(text):
        test = tests.get(key.casefold())
        if test is None:
            if rows and not any(_has_property(row, key) for row in rows):
                raise RequestError(f"Cannot filter this list by {key!r}.")
            test = _property_is(key)
        rows = [row for row in rows if test(row, value)]
    return rows


def not_before(*names: str) -> Test:
    """The time in the first of these properties that is set must be the given one or later."""
    return lambda row, value: (moment := _moment(row, names)) is not None and moment >= times.parse(value)


def not_after(*names: str) -> Test:
    """The time in the first of these properties that is set must be the given one or earlier."""
    return lambda row, value: (moment := _moment(row, names)) is not None and moment <= times.parse(value)


def same_as(name: str) -> Test:
    """The value of the property ``name`` must be the given one: for keys that are named otherwise."""
    return _property_is(name)


def properties(row: Row) -> Row:
    """The ``properties`` object of a row."""
    found = row["properties"]
    assert isinstance(found, dict)
    return found


def _has_property(row: Row, key: str) -> bool:
    return any(name.casefold() == key.casefold() for name in properties(row))


def _property_is(key: str) -> Test:
    def test(row: Row, value: str) -> bool:
        return any(
            name.casefold() == key.casefold() and str(content).casefold() == value.casefold()
            for name, content in properties(row).items()
        )

    return test


def _moment(row: Row, names: tuple[str, ...]) -> datetime | None:
    for name in names:
        value = properties(row).get(name)
        if isinstance(value, str):
            return times.parse(value)
    return None
