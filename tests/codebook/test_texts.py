"""The code book speaks: in every language nothing is missing, and commands and names are those of English."""

import re
import shlex
from collections.abc import Iterator
from string import Formatter
from typing import Any

import pytest

from overwinter.codebook import book, languages
from overwinter.codebook.explanation import explain, recommendations
from overwinter.codebook.texts import Names, texts_in

EVERY_LANGUAGE = pytest.mark.parametrize("language", languages.available())

#: Characters of a title; other languages need more than English.
TITLE = {"en": 60}
LONGER_TITLE = 78

Path = tuple[str, ...]


def texts_of(language: str) -> dict[Path, str]:
    """Every text with its place in the file."""
    return dict(_walk((), texts_in(language).tables))


def _walk(path: Path, value: Any) -> Iterator[tuple[Path, str]]:
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _walk((*path, key), part)
    else:
        yield path, value


def quoted(text: str) -> list[str]:
    """What stands between backticks."""
    return sorted(re.findall(r"`([^`]+)`", text))


def parameters(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def test_english_is_there_and_the_default() -> None:
    assert languages.DEFAULT in languages.available()


@EVERY_LANGUAGE
def test_no_text_is_missing_and_none_is_left_over(language: str) -> None:
    assert set(texts_of(language)) == set(texts_of(languages.DEFAULT))


def test_english_has_exactly_the_texts_that_the_book_needs() -> None:
    tables = texts_in("en").tables
    codes = {entry.code for entry in book.entries()}
    assert set(tables["codes"]) == codes
    assert all(set(row) == {"title", "message", "trigger"} for row in tables["codes"].values())
    assert set(tables["causes"]) == set(book.causes())
    assert set(tables["remedies"]) == set(book.remedies())
    assert set(tables["who"]) == set(book.Actor)
    assert set(tables["health"]) == set(book.Health)


@EVERY_LANGUAGE
def test_every_text_is_tidy(language: str) -> None:
    for path, text in texts_of(language).items():
        assert text and text == text.strip() and text.isprintable() and "  " not in text, path
        assert text.count("`") % 2 == 0, path
        is_sentence = path[0] in ("causes", "remedies") or (path[0] == "codes" and path[2] != "title")
        assert text.endswith(".") == is_sentence, path
        if path[0] == "codes" and path[2] == "title":
            assert len(text) <= TITLE.get(language, LONGER_TITLE), path


@EVERY_LANGUAGE
def test_commands_and_names_are_those_of_english(language: str) -> None:
    english = texts_of(languages.DEFAULT)
    for path, text in texts_of(language).items():
        assert quoted(text) == quoted(english[path]), path
        assert parameters(text) == parameters(english[path]), path


@EVERY_LANGUAGE
def test_titles_tell_codes_apart(language: str) -> None:
    titles = [texts_in(language).title(entry) for entry in book.entries()]
    assert sorted(titles) == sorted(set(titles))


@EVERY_LANGUAGE
def test_every_code_is_explained_in_full(language: str) -> None:
    texts = texts_in(language)
    for entry in book.entries():
        told = explain(entry, texts)
        assert told.title and told.message and told.trigger
        assert told.causes and all(cause.text and cause.remedies for cause in told.causes)
        everything = [told.message, told.trigger, *(c.text for c in told.causes)]
        steps = [*told.remedies, *(step for cause in told.causes for step in cause.remedies)]
        everything += [step.text for step in steps]
        assert not any("{" in text for text in everything), entry.code
        assert {step.text for step in steps} == set(recommendations(entry, texts))


@EVERY_LANGUAGE
def test_only_remedies_name_things(language: str) -> None:
    for path, text in texts_of(language).items():
        assert parameters(text) <= ({"vm", "vault", "job"} if path[0] == "remedies" else set()), path


@EVERY_LANGUAGE
def test_commands_take_any_name_as_it_is(language: str) -> None:
    texts = texts_in(language)
    names = Names(vm="web 01; reboot", vault="it's", job="$(id)")
    for remedy in book.remedies().values():
        text = texts.remedy(remedy, names)
        for command in quoted(text):
            if command.startswith("overwinter "):
                assert "reboot" not in shlex.split(command), remedy.id
                assert "$(id)" not in command.replace("'$(id)'", ""), remedy.id
    backup = texts.remedy(book.remedies()["S-BACKUP-NOW"], names)
    assert "`overwinter backup 'web 01; reboot' --wait`" in backup
    assert "`overwinter backup VM --wait`" in texts.remedy(book.remedies()["S-BACKUP-NOW"])
