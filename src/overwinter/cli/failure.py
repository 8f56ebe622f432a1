"""A failure as people and programs are told: its code, what happened, what to do."""

from typing import Self

from overwinter.cli.language import spoken
from overwinter.codebook import book
from overwinter.codebook.explanation import recommendations
from overwinter.codebook.texts import texts_in
from overwinter.model.errors import OverwinterError


class Failure(Exception):
    """Ends a command with exit status 1. ``recommendations`` are sentences, in the order to try them."""

    def __init__(self, code: str, message: str, recommendations: tuple[str, ...]) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.recommendations = recommendations

    @classmethod
    def of(cls, error: OverwinterError) -> Self:
        """The failure that an error of the model means; the code book knows what to do."""
        entry = book.find(error.code)
        advice = recommendations(entry, texts_in(spoken())) if entry else ()
        return cls(error.code, error.message, advice)
