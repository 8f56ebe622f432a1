"""What the doctor says, as keys into ``texts/<language>.json``, so that rules know no language.

Python 3.6, standard library only.
"""

from typing import Mapping, NamedTuple, TypeVar, Union


class Text(NamedTuple):
    """A sentence: its key in a section, and the values it names."""

    key: str
    values: Mapping[str, str]


def say(key: str, **values: object) -> Text:
    """A sentence with its values."""
    return Text(key, {name: str(value) for name, value in values.items()})


class Unknown(NamedTuple):
    """A fact that could not be had, and why."""

    reason: Text


_T = TypeVar("_T")

#: What a source of facts gives.
Fact = Union[_T, Unknown]


class NotKnown(Exception):
    """A rule needs a fact that could not be had."""

    def __init__(self, reason: Text) -> None:
        super().__init__(reason.key)
        self.reason = reason


def need(fact: "Fact[_T]") -> _T:
    """The fact itself. Raises NotKnown."""
    if isinstance(fact, Unknown):
        raise NotKnown(fact.reason)
    return fact
