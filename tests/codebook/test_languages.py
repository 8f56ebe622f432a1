"""The choice of a language: by header, by environment, and what happens when it does not exist."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overwinter.codebook import languages


@pytest.mark.parametrize("language", languages.available())
def test_every_language_is_found_by_its_tags(language: str) -> None:
    for tag in (language, language.upper(), f"{language}-XX", f"{language}_XX.UTF-8", f" {language}@euro"):
        assert languages.match(tag) == language
    assert languages.of_header(f"xx, {language}-XX;q=0.3, yy;q=0.9") == language
    assert languages.of_environment({"LANG": f"{language}_XX.UTF-8"}) == language


@pytest.mark.parametrize(
    ("header", "tags"),
    [
        ("", []),
        ("nl", ["nl"]),
        ("en;q=0.5, nl-BE", ["nl-BE", "en"]),
        ("sv;q=0.8,hu;q=0.9,*;q=0.1", ["hu", "sv", "*"]),
        ("tr;q=0, en", ["en"]),
        ("hu ; q = 0.700 , sv", ["sv", "hu"]),
        ("nl;q=2, sv;q=x, ;;, hu", ["hu"]),
    ],
)
def test_preferences_of_a_header(header: str, tags: list[str]) -> None:
    assert languages.preferences(header) == tags


@given(st.text())
def test_any_header_chooses_a_language(header: str) -> None:
    assert languages.of_header(header) in languages.available()


def test_the_first_variable_that_is_set_counts() -> None:
    assert languages.of_environment({}) == "en"
    assert languages.of_environment({"LC_ALL": "C", "LANG": "en_GB.UTF-8"}) == "en"
    assert languages.of_environment({"LC_ALL": "", "LC_MESSAGES": "en", "LANG": "xx"}) == "en"
    assert languages.match("C") is None and languages.match("") is None


def test_what_anybody_accepts_is_the_default() -> None:
    assert languages.of_header("xx, *;q=0.5") == languages.DEFAULT
