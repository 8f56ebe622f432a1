"""What the code book does not say in some language."""

from typing import Any

from overwinter.codebook import book, languages
from overwinter.codebook.texts import texts_in


def missing() -> int:
    """How many texts are missing, over all languages."""
    return sum(len(_needed() - _told(language)) for language in languages.available())


def _needed() -> set[tuple[str, ...]]:
    codes = {
        ("codes", entry.code, part) for entry in book.entries() for part in ("title", "message", "trigger")
    }
    causes = {("causes", name) for name in book.causes()}
    return codes | causes | {("remedies", name) for name in book.remedies()}


def _told(language: str) -> set[tuple[str, ...]]:
    return set(_places((), texts_in(language).tables))


def _places(above: tuple[str, ...], value: Any) -> list[tuple[str, ...]]:
    if not isinstance(value, dict):
        return [above] if value else []
    return [place for key, part in value.items() for place in _places((*above, key), part)]
