"""The code book: for each error code its number, what it means and what to do about it.

The data is ``codes.toml``; numbers are frozen, because API clients see them (``errorCode``). ``causes.toml``
says what can be behind a code in the words of the reference articles.
"""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources


@dataclass(frozen=True)
class Entry:
    """One code.

    ``message`` says in general what happened; ``recommendations`` are plain sentences, in the order to try
    them. ``retryable`` tells whether the same request can succeed later without a change by a person.
    """

    code: str
    number: int
    title: str
    message: str
    retryable: bool
    recommendations: tuple[str, ...]
    aliases: tuple[str, ...] = ()


@cache
def entries() -> tuple[Entry, ...]:
    """All codes of the book, by number."""
    text = resources.files(__package__).joinpath("codes.toml").read_text(encoding="utf-8")
    found = (
        Entry(
            code=code,
            number=row["number"],
            title=row["title"],
            message=row["message"],
            retryable=row["retryable"],
            recommendations=tuple(row["recommendations"]),
            aliases=tuple(row.get("aliases", ())),
        )
        for code, row in tomllib.loads(text).items()
    )
    return tuple(sorted(found, key=lambda entry: entry.number))


def cause(cause_id: str) -> str:
    """What a cause of that id is, in a sentence; KeyError for an unknown one, which is a defect."""
    return _causes()[cause_id]


@cache
def _causes() -> dict[str, str]:
    text = resources.files(__package__).joinpath("causes.toml").read_text(encoding="utf-8")
    return {name: str(sentence) for name, sentence in tomllib.loads(text).items()}


def find(code: str) -> Entry | None:
    """The entry of a code or alias, or null.

    Letter case does not matter, nor do the dotless and dotted i that a Turkish keyboard or locale puts in.
    """
    return _by_folded_code().get(_fold(code))


@cache
def _by_folded_code() -> dict[str, Entry]:
    return {_fold(name): entry for entry in entries() for name in (entry.code, *entry.aliases)}


def _fold(code: str) -> str:
    # "İ" folds to an i with a combining dot above (U+0307), "ı" not at all.
    return code.strip().casefold().replace("\u0307", "").replace("ı", "i")
