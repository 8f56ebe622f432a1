"""Fixed words in requests."""

from enum import StrEnum
from typing import Self


class Word(StrEnum):
    """A fixed word that clients spell in any letter case."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        return next((word for word in cls if word.casefold() == str(value).casefold()), None)
