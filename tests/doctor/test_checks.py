"""Each check has facts with which it passes and facts with which it does not; none guesses."""

import string
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import overwinter.doctor.texts
from overwinter.codebook import book, languages
from overwinter.doctor import systems
from overwinter.doctor.check import Check, Status
from overwinter.doctor.checks import CHECKS
from overwinter.doctor.fact import Known
from overwinter.doctor.facts import Facts, VaultHealth
from overwinter.doctor.report import examine
from overwinter.doctor.signs import SIGNS
from overwinter.doctor.texts import texts_in
from overwinter.model.agent import AgentState
from overwinter.model.protection import ProtectionState
from overwinter.model.vm import ImageLayer, PowerState, VirtualMachine
from tests.doctor.cases import CASES, CRASH_ONLY, FAIL, PASS, SILENT, WARN
from tests.doctor.facts import (
    AGENT,
    DISK,
    HEALTHY,
    HEALTHY_WINDOWS,
    ITEM,
    MACHINE,
    NOW,
    ORIGINAL,
    PROTECTION,
    agent,
    known,
    linux,
    machine,
    policy,
    records,
    unknown,
)

EVERY_LANGUAGE = pytest.mark.parametrize("language", languages.available())

#: Those that have a file of their own.
SPOKEN = {path.stem for path in Path(overwinter.doctor.texts.__file__).parent.glob("*.toml")}

ALL = (*CHECKS, *SIGNS)


@pytest.mark.parametrize("check", ALL, ids=lambda check: check.id)
def test_each_check_is_shown_passing_and_failing(check: Check) -> None:
    statuses = {status for _, status, _ in CASES[check.id]}
    # One sign cannot fail: that an agent is silent does not tell that none is there.
    bad = {Status.UNKNOWN} if check.id == "D3" else {WARN, FAIL}
    assert PASS in statuses and statuses & bad
    assert CASES.keys() == {each.id for each in ALL}


@pytest.mark.parametrize(
    ("check", "facts", "status", "reason"),
    [(check, *case) for check in ALL for case in CASES[check.id]],
    ids=lambda value: value.id if isinstance(value, Check) else value if isinstance(value, str) else "",
)
def test_a_check_says_what_its_facts_say(check: Check, facts: Facts, status: Status, reason: str) -> None:
    (result,) = examine(facts, [check]).results
    assert (result.finding.status, result.finding.reason) == (status, reason)
    assert texts_in("en").sentence(result)


def test_every_sentence_is_used_and_every_cause_is_in_the_code_book() -> None:
    tables = texts_in("en").tables
    assert set(tables) == {check.id for check in ALL} | {"words", "error", "diagnosis"}
    for check in ALL:
        used = {reason for _, status, reason in CASES[check.id] if status is not Status.UNKNOWN}
        assert set(tables[check.id]) == used | {"title"}, check.id
        assert check.causes, check.id
        assert set(check.causes) <= set(book.causes()), check.id


def placeholders(sentence: str) -> list[str]:
    return sorted(name for _, name, _, _ in string.Formatter().parse(sentence) if name is not None)


@EVERY_LANGUAGE
def test_a_language_that_the_doctor_speaks_is_complete(language: str) -> None:
    """One without a file of its own is answered in English."""
    english, spoken = texts_in(languages.DEFAULT).tables, texts_in(language).tables
    for table, sentences in english.items():
        assert spoken[table].keys() == sentences.keys()
        for reason, sentence in sentences.items():
            assert placeholders(spoken[table][reason]) == placeholders(sentence), (language, table, reason)
    assert spoken.keys() == english.keys()


@EVERY_LANGUAGE
def test_every_finding_can_be_said_and_every_text_is_tidy(language: str) -> None:
    texts = texts_in(language)
    for check in CHECKS:
        for facts, _, _ in CASES[check.id]:
            (result,) = examine(facts, [check]).results
            assert "{" not in texts.sentence(result), (check.id, result.finding.reason)
    for table, sentences in texts.tables.items():
        for reason, text in sentences.items():
            assert text == text.strip() and text.isprintable() and "  " not in text, (table, reason)
            is_word = reason in {"title", "heading", "confirmed", "open", "ruledOut"} or table == "words"
            is_sentence = not is_word and not text.endswith("{why}")
            assert text.endswith(".") == is_sentence, (table, reason)


@pytest.mark.parametrize("language", sorted(SPOKEN - {languages.DEFAULT}))
def test_no_text_is_left_in_english(language: str) -> None:
    english, spoken = texts_in(languages.DEFAULT).tables, texts_in(language).tables
    for table, sentences in english.items():
        same = {reason for reason, text in sentences.items() if spoken[table][reason] == text}
        assert all(sentences[reason] == "{why}" for reason in same - {"pass"}), (table, same)


def test_a_vm_that_is_well_gets_no_alarm() -> None:
    crash_only = agent(machine(policy(**CRASH_ONLY), agent_channel=False), **SILENT)
    crash_only = replace(
        crash_only,
        agent=known(replace(AGENT, state=AgentState.NOT_INSTALLED, info=None, last=None)),
        linux=unknown(),
        drift=unknown(),
    )
    off = machine(agent(state=AgentState.STOPPED, info=None), state=PowerState.STOPPED)
    new = records(
        restore_points=(),
        recovery_points=(),
        backups=(),
        protection=replace(PROTECTION, item=replace(ITEM, created=NOW, state=ProtectionState.PENDING)),
    )
    new = replace(new, vault=known(VaultHealth()), machine=known(_flat()))
    for facts in (HEALTHY, HEALTHY_WINDOWS, crash_only, off, new, linux(python="", restart=None)):
        report = examine(facts)
        bad = [result for result in report.results if result.finding.status in (WARN, FAIL)]
        assert not bad, bad
    assert examine(HEALTHY).worst is PASS


def _flat() -> VirtualMachine:
    return replace(MACHINE, disks=(replace(DISK, chain=(ImageLayer(ORIGINAL, "qcow2"),)),))


changing = [field.name for field in fields(Facts) if isinstance(getattr(HEALTHY, field.name), Known)]


@given(st.sampled_from([HEALTHY, HEALTHY_WINDOWS]), st.sets(st.sampled_from(changing)))
def test_nothing_is_guessed_of_what_nobody_told(facts: Facts, missing: set[str]) -> None:
    """With less known no check fails for lack of it, but for the two that ask whether there is an answer."""
    less = replace(facts, **{name: unknown() for name in missing})  # type: ignore[arg-type]
    report = examine(less)
    texts = texts_in("en")
    for result in report.results:
        assert texts.sentence(result)
        if result.finding.status in (WARN, FAIL):
            assert result.check.id in {"X1.1", "X4.5"}, result
        if result.finding.status is Status.UNKNOWN:
            assert result.why


def test_systems_are_compared_by_their_numbers() -> None:
    assert systems.is_older("7", "8") and not systems.is_older("12", "8")
    assert systems.is_older("2003", "2008") and not systems.is_older("2012 R2", "2008")
    assert not systems.is_older("11", "2008") and not systems.is_older("", "8")
    assert systems.oldest_supported("plan9") is None


def test_the_worst_counts() -> None:
    assert examine(linux(reboot=True)).worst is WARN
    assert examine(replace(HEALTHY, drift=unknown())).worst is Status.UNKNOWN
    assert examine(records(protection=None)).worst is FAIL
