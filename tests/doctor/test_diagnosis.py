"""From a problem to its causes: what confirms one, what rules one out, and that nothing is guessed."""

import json
import re
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overwinter.codebook import book
from overwinter.codebook.book import Entry, GuestSystem
from overwinter.doctor.checks import CHECKS
from overwinter.doctor.diagnosis import (
    Diagnosis,
    Findings,
    Obstacle,
    Verdict,
    diagnose,
    look,
)
from overwinter.doctor.diagnosis_record import diagnosis_of, record, taken
from overwinter.doctor.fact import Known
from overwinter.doctor.facts import Facts
from overwinter.doctor.links import links
from overwinter.doctor.signs import SIGNS
from overwinter.doctor.texts import can_say, texts_in
from overwinter.model.agent import AgentState
from overwinter.model.job import Job, JobError, JobOperation
from overwinter.model.vm import PowerState
from tests.doctor.cases import AWAY, CASES, LOCK, MERGE, SILENT, STRICT
from tests.doctor.facts import (
    HEALTHY,
    HEALTHY_WINDOWS,
    NOW,
    RESTORE_POINT,
    agent,
    job,
    known,
    machine,
    policy,
    records,
    unknown,
)

SOURCE = Path(__file__).parents[2] / "src" / "overwinter"

SILENT_AGENT = "UserErrorGuestAgentStatusUnavailable"
LIMIT = "UserErrorRpCollectionLimitReached"
STATE = "UserErrorVmNotInDesirableState"
FREEZE = "UserErrorFsFreezeFailed"

EVERY_CHECK = {check.id: check for check in (*CHECKS, *SIGNS)}


def told(code: str, facts: Facts | None, *, seen: str | None = None, edition: str | None = None) -> Diagnosis:
    found = diagnose(JobError(code, "It failed.", seen), edition, None if facts is None else look(facts))
    assert found is not None
    return found


def ids(diagnosis: Diagnosis, verdict: Verdict) -> list[str]:
    return [judged.cause.id for judged in diagnosis.of(verdict)]


# --- the links --------------------------------------------------------------------------------------------


def test_every_cause_is_linked_or_left_to_a_person() -> None:
    assert links().keys() == book.causes().keys()
    for cause, link in links().items():
        assert link.confirmed or link.by_code or link.by_error or link.by_person, cause


def test_every_clue_can_be_found() -> None:
    for cause, link in links().items():
        for clue in (*link.confirmed, *link.ruled_out):
            assert clue.check in EVERY_CHECK, cause
            assert clue.reason is None or clue.reason in texts_in("en").tables[clue.check], (cause, clue)


def test_nothing_both_confirms_and_rules_out() -> None:
    """Over all that any check can find."""
    for check in EVERY_CHECK:
        for facts, _, _ in CASES[check]:
            result = look(facts).results.get(check)
            for cause, link in links().items():
                fitting = [
                    kind
                    for kind in (link.confirmed, link.ruled_out)
                    if result and any(clue.check == check and clue.fits(result.finding) for clue in kind)
                ]
                assert len(fitting) < 2, (cause, result)


def test_a_code_says_only_what_it_alone_can_mean() -> None:
    alone = {entry.causes[0].id for entry in book.entries() if len(entry.causes) == 1}
    assert {cause for cause, link in links().items() if link.by_code} <= alone


def test_causes_that_errors_name_are_those_that_are_linked_so() -> None:
    """By the program's text: an id that is handed to an error, or kept for one."""
    text = "".join(
        path.read_text()
        for room in ("model", "images", "hypervisor", "guest", "catalog", "jobs", "vault")
        for path in sorted((SOURCE / room).rglob("*.py"))
    )
    named = set(re.findall(r'"(C-[A-Z0-9-]+)"', text))
    assert named == {cause for cause, link in links().items() if link.by_error}


# --- single diagnoses -------------------------------------------------------------------------------------


def test_a_silent_agent() -> None:
    found = told(SILENT_AGENT, agent(**SILENT))
    assert ids(found, Verdict.CONFIRMED) == ["C-AGENT-STATE"]
    assert ids(found, Verdict.RULED_OUT) == ["C-NO-AGENT", "C-NO-CHANNEL"]
    (confirmed,) = found.of(Verdict.CONFIRMED)
    assert [each.check for each in confirmed.evidence] == ["D1"]
    assert found.first == "C-AGENT-STATE"


def test_an_agent_that_was_never_seen_may_be_stopped_or_missing() -> None:
    found = told(SILENT_AGENT, agent(state=AgentState.NOT_INSTALLED, info=None, last=None, reason="None."))
    assert ids(found, Verdict.CONFIRMED) == ["C-AGENT-STATE"]
    missing, blocked = found.of(Verdict.OPEN)
    assert (missing.cause.id, missing.obstacle) == ("C-NO-AGENT", Obstacle.UNKNOWN)
    assert blocked.cause.id == "C-AGENT-BLOCKED"
    assert [each.why for each in missing.evidence] == ["None."]


def test_without_a_channel_nobody_can_tell_how_the_agent_is() -> None:
    facts = machine(agent(state=AgentState.NOT_INSTALLED, info=None), agent_channel=False)
    found = told(SILENT_AGENT, facts)
    assert ids(found, Verdict.CONFIRMED) == ["C-NO-CHANNEL"]
    assert ids(found, Verdict.OPEN) == ["C-AGENT-STATE", "C-NO-AGENT", "C-AGENT-BLOCKED"]
    assert found.remedies[0].repair == "agent-channel"


def test_restore_points_at_their_limit() -> None:
    crowded = records(restore_points=(RESTORE_POINT,) * 18, locks=(LOCK,))
    assert ids(told(LIMIT, crowded), Verdict.CONFIRMED) == ["C-RG-LOCK", "C-MULTI-DAY"]
    unlocked = records(restore_points=(RESTORE_POINT,) * 18)
    in_2021 = told(LIMIT, unlocked, edition="2021")
    assert ids(in_2021, Verdict.CONFIRMED) == ["C-MULTI-DAY", "C-RP-18"]
    assert ids(in_2021, Verdict.RULED_OUT) == ["C-RG-LOCK"]


def test_a_state_that_allows_no_backup() -> None:
    off = machine(policy(extension=STRICT), state=PowerState.STOPPED)
    assert told(STATE, off).first == "C-OFF-UNDER-POLICY"
    busy = replace(HEALTHY, block_jobs=known((MERGE,)), standing_jobs=known((MERGE,)))
    assert told(STATE, busy).first == "C-BLOCK-JOB-STALE"


def test_what_was_seen_comes_first_and_is_confirmed_whatever_is_found_later() -> None:
    found = told(STATE, HEALTHY, seen="C-BLOCK-JOB-STALE")
    assert found.first == "C-BLOCK-JOB-STALE"
    assert found.of(Verdict.CONFIRMED)[0].evidence[0].reason == "saw"
    of_another_edition = told(
        "UserErrorVmProvisioningStateFailed", HEALTHY, seen="C-VM-CRASHED", edition="2020"
    )
    assert of_another_edition.first == "C-VM-CRASHED"


def test_a_code_with_one_cause_says_it_by_itself() -> None:
    for facts in (None, HEALTHY):
        (cause,) = told("VaultStorageFull", facts).causes
        assert (cause.cause.id, cause.verdict) == ("C-VAULT-FULL", Verdict.CONFIRMED)


def test_missing_files_are_told_from_damaged_ones() -> None:
    found = told("DiskImageUnreadable", machine(unreadable_disks=(AWAY,)))
    assert ids(found, Verdict.CONFIRMED) == ["C-IMAGE-AWAY"]
    assert ids(found, Verdict.RULED_OUT) == ["C-IMAGE-DAMAGED"]


def test_a_guest_has_the_causes_of_its_own_system_only() -> None:
    for facts, other in ((HEALTHY, GuestSystem.WINDOWS), (HEALTHY_WINDOWS, GuestSystem.LINUX)):
        for entry in book.entries():
            causes = {judged.cause.system for judged in told(entry.code, facts).causes}
            assert other not in causes, entry.code
    nobody_knows = told(SILENT_AGENT, agent(**SILENT, last=None), edition="2018")
    assert {"C-WIN-AGENT", "C-LIN-AGENT"} <= set(ids(nobody_knows, Verdict.OPEN))


def test_remedies_are_those_of_the_confirmed_causes_else_of_the_open_ones() -> None:
    confirmed = told(SILENT_AGENT, agent(**SILENT))
    own = [remedy for judged in confirmed.of(Verdict.CONFIRMED) for remedy in judged.cause.remedies]
    assert list(confirmed.remedies) == [*own, *confirmed.general]
    entry = book.find(FREEZE)
    assert entry is not None
    assert told(FREEZE, None).remedies == entry.remedies_in(None)


def test_a_code_that_nobody_knows_has_no_diagnosis() -> None:
    assert diagnose(JobError("FromTheFuture", "?"), None, look(HEALTHY)) is None


# --- what is true of all ----------------------------------------------------------------------------------

codes = st.sampled_from(book.entries())
healthy = st.sampled_from([HEALTHY, HEALTHY_WINDOWS])
situations = st.sampled_from([facts for cases in CASES.values() for facts, _, _ in cases])
names = [each.name for each in fields(Facts) if isinstance(getattr(HEALTHY, each.name), Known)]
editions = st.sampled_from([None, "2018", "2019", "2020", "2021"])


@given(codes, editions, situations)
def test_every_cause_of_the_code_is_told_once_in_the_order_of_verdicts(
    entry: Entry, edition: str | None, facts: Facts
) -> None:
    found = told(entry.code, facts, edition=edition)
    listed = [cause.id for cause in entry.causes_in(edition)]
    shown = [judged.cause.id for judged in found.causes]
    assert len(set(shown)) == len(shown) and set(shown) <= set(listed)
    order = list(Verdict)
    assert [order.index(each.verdict) for each in found.causes] == sorted(
        order.index(each.verdict) for each in found.causes
    )
    for verdict in Verdict:
        assert sorted(ids(found, verdict), key=listed.index) == ids(found, verdict)
    for judged in found.causes:
        assert judged.evidence or judged.verdict is Verdict.OPEN
        assert (judged.obstacle is not None) == (judged.verdict is Verdict.OPEN)


@given(codes, editions)
def test_nobody_who_knows_nothing_confirms_or_rules_out(entry: Entry, edition: str | None) -> None:
    blank = replace(HEALTHY, **{name: unknown() for name in names})  # type: ignore[arg-type]
    for judged in told(entry.code, blank, edition=edition).causes:
        found_by = {each.check for each in judged.evidence if each.why == ""}
        # Two checks ask whether there is an answer at all: that there is none they know.
        assert found_by <= {"error", "X1.1", "X4.5"}, judged
        if judged.verdict is Verdict.OPEN:
            assert not found_by
    for judged in told(entry.code, None, edition=edition).causes:
        assert {each.check for each in judged.evidence} <= {"error"}
        assert judged.verdict is not Verdict.RULED_OUT


@given(codes, editions, situations, st.sets(st.sampled_from(names)))
def test_with_less_known_nothing_more_is_sure(
    entry: Entry, edition: str | None, facts: Facts, missing: set[str]
) -> None:
    """What is confirmed or ruled out with less is so with all, but where no answer is itself the finding."""
    less = replace(facts, **{name: unknown() for name in missing})  # type: ignore[arg-type]
    everything = {each.cause.id: each for each in told(entry.code, facts, edition=edition).causes}
    for judged in told(entry.code, less, edition=edition).causes:
        by_silence = {each.check for each in judged.evidence} & {"X1.1", "X4.5"}
        if judged.cause.id in everything and judged.verdict is Verdict.CONFIRMED and not by_silence:
            assert everything[judged.cause.id].verdict is Verdict.CONFIRMED, judged
        if judged.cause.id in everything and judged.verdict is Verdict.RULED_OUT:
            assert everything[judged.cause.id].verdict is not Verdict.OPEN, judged


# --- the record -------------------------------------------------------------------------------------------


def failed_job(*problems: JobError, diagnosis: dict[str, object] | None = None) -> Job:
    ended = job(JobOperation.BACKUP, NOW, NOW - NOW)
    return replace(ended, errors=problems, diagnosis=diagnosis)


@given(codes, editions, situations, st.booleans())
def test_a_record_tells_what_was_found(
    entry: Entry,
    edition: str | None,
    facts: Facts,
    looked: bool,
) -> None:
    problem = JobError(entry.code, "It failed.", entry.causes[-1].id)
    kept = json.loads(json.dumps(record([problem, problem], edition, facts if looked else None)))
    assert len(kept["problems"]) == 1
    ended = failed_job(problem, diagnosis=kept)
    findings: Findings | None = look(facts) if looked else None
    assert diagnosis_of(ended, problem, edition) == diagnose(problem, edition, findings)
    assert taken(ended) == (facts.taken if looked else None)


def test_a_record_has_no_words_of_a_language() -> None:
    kept = record([JobError(STATE, "The secret message.")], None, HEALTHY)
    assert "secret" not in json.dumps(kept)


def test_a_job_without_a_record_is_told_by_the_code_book() -> None:
    problem = JobError(STATE, "It failed.")
    for ended in (failed_job(problem), failed_job(problem, diagnosis={"pending": True})):
        assert diagnosis_of(ended, problem, None) == diagnose(problem, None, None)
        assert taken(ended) is None


def test_what_another_version_found_is_left_out() -> None:
    problem = JobError(STATE, "It failed.")
    kept = record([problem], None, HEALTHY)
    causes = kept["problems"][0]["causes"]
    causes[0]["evidence"] = [
        {"check": "Z9.9", "status": "fail", "reason": "what", "values": {}, "why": ""},
        {"check": "X4.4", "status": "fail", "reason": "stale", "values": {"disk": "vda"}, "why": ""},
    ]
    causes.append({"id": "C-OF-ANOTHER-AGE", "verdict": "open", "obstacle": "person", "evidence": []})
    read = diagnosis_of(failed_job(problem, diagnosis=kept), problem, None)
    assert read is not None
    assert [each.check for judged in read.causes[:1] for each in judged.evidence] == ["X4.4"]
    assert "C-OF-ANOTHER-AGE" not in [judged.cause.id for judged in read.causes]


@pytest.mark.parametrize("check", EVERY_CHECK)
def test_all_evidence_can_be_told(check: str) -> None:
    english = texts_in("en")
    codes_of_all = [JobError(entry.code, "It failed.") for entry in book.entries()]
    for findings in (look(facts) for facts, _, _ in CASES[check]):
        for found in (diagnose(problem, None, findings) for problem in codes_of_all):
            assert found is not None
            for each in (evidence for judged in found.causes for evidence in judged.evidence):
                assert can_say(each.check, each.reason)
                assert english.found(each.check, each.reason, each.values, each.why)
                assert english.title(each.check)
