"""``overwinter explain``, which needs no service; and the commands that remedies tell people to type."""

import json
import re
import shlex

import click
import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from overwinter.cli.main import app
from overwinter.codebook import book, languages
from overwinter.codebook.texts import texts_in

EVERY_LANGUAGE = pytest.mark.parametrize("language", languages.available())


def run(*words: str, **environment: str) -> Result:
    return CliRunner().invoke(app, ["explain", *words], env={"LC_ALL": "C", **environment})


def test_a_code_is_explained_whole() -> None:
    told = run("usererrorrpcollectionlimitreached").stdout
    texts = texts_in("en")
    entry = book.find("UserErrorRpCollectionLimitReached")
    assert entry is not None
    parts = [entry.code, texts.title(entry), texts.message(entry), texts.trigger(entry)]
    parts += [texts.cause(cause) for cause in entry.causes]
    parts += [texts.remedy(remedy) for cause in entry.causes for remedy in cause.remedies]
    places = [told.find(part) for part in parts]
    assert -1 not in places
    assert places[:4] == sorted(places[:4])
    assert "ScopeLocked" in told and "action required" in told


def test_what_a_machine_may_do_is_marked() -> None:
    told = run("GuestThawUnconfirmed").stdout
    (thaw,) = [line for line in told.splitlines() if "virsh domfsthaw" in line]
    assert thaw.rstrip().endswith("host admin ⚙") and "⚙ may be done by a machine" in told
    assert "⚙" not in run("ScopeLocked").stdout


def test_a_number_and_an_old_spelling_are_understood() -> None:
    document = json.loads(run("ExtentionOperationFailed", "--json").stdout)
    assert document == json.loads(run("1007", "--json").stdout)
    assert (document["code"], document["health"]) == (
        "ExtensionOperationFailedForManagedDisks",
        "ActionRequired",
    )
    assert document["causes"][0]["remedies"][0]["actor"] == "host"


def test_all_codes_are_listed_or_explained() -> None:
    listed = run().stdout
    assert len(listed.splitlines()) == len(book.entries()) + 1
    assert all(entry.code in listed for entry in book.entries())
    documents = json.loads(run("--all", "--json").stdout)
    assert [each["number"] for each in documents] == [entry.number for entry in book.entries()]
    told = run("--all").stdout
    assert all(texts_in("en").trigger(entry) in told for entry in book.entries())


def test_wrong_use_says_what_is_right() -> None:
    near = run("VaultStorageFul")
    assert near.exit_code == 2 and "VaultStorageFull" in near.stderr
    assert run("qqqqqqqqqqqqqq").exit_code == 2
    assert run("VaultStorageFull", "--all").exit_code == 2
    wrong = run("--lang", "xx")
    assert wrong.exit_code == 2 and "en" in wrong.stderr


@EVERY_LANGUAGE
def test_a_language_is_chosen_by_option_or_environment(language: str) -> None:
    asked = run("VaultStorageFull", "--lang", language).stdout
    assert run("VaultStorageFull", LC_ALL=f"{language}_XX.UTF-8").stdout == asked
    entry = book.find("VaultStorageFull")
    assert entry is not None and texts_in(language).message(entry) in asked


def commands(language: str) -> set[str]:
    """What remedies tell people to type, of our own commands."""
    remedies = (texts_in(language).remedy(remedy) for remedy in book.remedies().values())
    quoted = (command for text in remedies for command in re.findall(r"`([^`]+)`", text))
    return {command for command in quoted if command.startswith("overwinter ")}


@pytest.mark.parametrize("command", sorted(commands("en")))
def test_commands_of_remedies_exist(command: str) -> None:
    parsed: click.Command = typer.main.get_command(app)
    words = shlex.split(command)[1:]
    while isinstance(parsed, click.Group):
        found = parsed.get_command(click.Context(parsed), words.pop(0))
        assert found is not None, command
        parsed = found
    # Parses without carrying anything out; raises for options and arguments that the command does not have.
    parsed.make_context(command, words)
