"""Every sentence that the doctor can say exists, with the same values; none lies about unused."""

import ast
import json
import re
import string
from collections.abc import Iterator
from pathlib import Path

import pytest

import overwinter.extension.doctor
from overwinter.codebook import book
from overwinter.extension.doctor.checks import extensions, snapshot
from overwinter.extension.doctor.checks.catalogue import CHECKS, STEPS
from overwinter.extension.doctor.redact import redact
from overwinter.extension.doctor.texts import DEFAULT, Texts, choose, exists

ROOM = Path(overwinter.extension.doctor.__file__).parent
LANGUAGES = sorted(path.stem for path in (ROOM / "texts").glob("*.json"))

#: What a sentence needs no value for: how findings are made, not what they say.
NOT_VALUES = {"evidence", "predicts"}


def texts(language: str) -> dict[str, dict[str, str]]:
    return json.loads((ROOM / "texts" / f"{language}.json").read_text("utf-8"))  # type: ignore[no-any-return]


def calls() -> Iterator[tuple[str, ast.Call]]:
    """Calls that name a sentence, with the name of what is called."""
    for path in ROOM.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and node.args and isinstance(node.func, (ast.Name, ast.Attribute)):
                called = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
                yield called, node


def literal(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def said() -> dict[str, list[set[str]]]:
    """Keys of reasons, with the names of the values that each place gives."""
    found: dict[str, list[set[str]]] = {}
    for called, call in calls():
        key = literal(call.args[0])
        if called in ("say", "passed", "warned", "failed", "unknown") and key is not None:
            values = {str(keyword.arg) for keyword in call.keywords} - NOT_VALUES
            found.setdefault(key, []).append(values)
    return found


def remedies() -> dict[str, list[set[str]]]:
    """Keys of remedies, with the names of the values that the reason beside each has."""
    found: dict[str, list[set[str]]] = {end.remedy: [{"number"}] for end in extensions._ENDS.values()}
    for called, call in calls():
        if called not in ("warned", "failed"):
            continue
        for key in filter(
            None, (literal(node) for node in ast.walk(call.args[1]) if isinstance(node, ast.expr))
        ):
            found.setdefault(key, []).append({str(keyword.arg) for keyword in call.keywords} - NOT_VALUES)
    return found


def predicted() -> set[str]:
    tables = [check.predicts for check in CHECKS]
    tables += [
        *((end.code,) for end in extensions._ENDS.values()),
        *snapshot._CODES.values(),
        snapshot._UNABLE_TO_OPEN,
    ]
    return {code for codes in tables for code in codes}


def placeholders(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}


def quoted(template: str) -> list[str]:
    """What is typed or looked up as it is."""
    return sorted(re.findall(r"`([^`]+)`", template))


def test_every_reason_has_its_sentence_with_its_values() -> None:
    english = texts(DEFAULT)["reasons"]
    used = said()
    assert sorted(english) == sorted(used)
    for key, places in used.items():
        for values in places:
            assert placeholders(english[key]) <= values, key


def test_every_remedy_check_step_and_code_has_its_words() -> None:
    english = texts(DEFAULT)
    used = remedies()
    assert sorted(english["remedies"]) == sorted(used)
    for key, places in used.items():
        for values in places:
            assert placeholders(english["remedies"][key]) <= values, key
    assert sorted(english["checks"]) == sorted(check.id for check in CHECKS)
    assert sorted(english["steps"]) == sorted(STEPS)
    assert sorted(english["codes"]) == sorted(predicted())


@pytest.mark.parametrize("language", LANGUAGES)
def test_languages_say_the_same_with_the_same_values(language: str) -> None:
    english, own = texts(DEFAULT), texts(language)
    assert sorted(own) == sorted(english)
    for section, sentences in english.items():
        assert sorted(own[section]) == sorted(sentences)
        for key, sentence in sentences.items():
            assert placeholders(own[section][key]) == placeholders(sentence), (section, key)
            assert quoted(own[section][key]) == quoted(sentence), (section, key)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sentence_is_tidy_and_no_secret(language: str) -> None:
    """Reasons and remedies are whole sentences, of which the redaction leaves every word."""
    for section, sentences in texts(language).items():
        for key, sentence in sentences.items():
            assert sentence == sentence.strip() and sentence.isprintable() and "  " not in sentence, key
            assert sentence.endswith(".") == (section in ("reasons", "remedies") or key == "not-root"), key
            assert redact(sentence) == sentence, key


@pytest.mark.parametrize("language", [language for language in LANGUAGES if language != DEFAULT])
def test_no_sentence_is_left_in_english(language: str) -> None:
    english, own = texts(DEFAULT), texts(language)
    for section in ("reasons", "remedies", "codes"):
        for key, sentence in english[section].items():
            assert own[section][key] != sentence or len(sentence.split()) < 3, key


def test_the_language_is_what_is_asked_for_then_the_environment_then_english() -> None:
    assert choose("en_GB.UTF-8", {"LANG": "xx"}) == "en"
    assert choose("", {"LANG": "en_US.UTF-8"}) == "en"
    assert choose("", {"LANG": "C.UTF-8"}) == "en"
    assert choose("", {}) == "en"
    assert choose("nl", {"LANG": "sv_SE.UTF-8"}) == "nl"
    assert choose("sv-FI", {}) == "sv"
    assert choose("", {"LANG": "en_GB.UTF-8", "LC_MESSAGES": "sv_SE.UTF-8", "LC_ALL": "nl_BE@euro"}) == "nl"
    assert choose("", {"LANG": "nl_NL.UTF-8", "LC_MESSAGES": "sv_SE.UTF-8", "LC_ALL": ""}) == "sv"
    assert choose("", {"LANG": "nl_NL.UTF-8", "LC_ALL": "C"}) == "en"
    assert choose("../../etc/passwd", {}) == "en"
    assert exists("en") and not exists("xx") and not exists("") and not exists("../en")


def test_an_unknown_sentence_is_an_error() -> None:
    with pytest.raises(KeyError):
        Texts("en").of("reasons", "no-such-reason")


def test_every_predicted_code_is_in_the_code_book() -> None:
    assert [code for code in sorted(predicted()) if book.find(code) is None] == []
