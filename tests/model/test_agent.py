"""From what was observed of a guest agent to its state: every state by its own evidence, and no other."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overwinter.model.agent import (
    FREEZE_COMMANDS,
    AgentEvidence,
    AgentInfo,
    AgentState,
    AgentVersions,
    GuestSystem,
    SystemFamily,
    is_version,
    judge,
)
from overwinter.model.vm import PowerState

COMMANDS = FREEZE_COMMANDS | {"guest-ping", "guest-info"}
INFO = AgentInfo("7.2.17", COMMANDS, COMMANDS)
READY = AgentEvidence(PowerState.RUNNING, channel=True, connected=True, seen=True, info=INFO)
VERSIONS = AgentVersions(minimum="2.5", newest="7.2")


@pytest.mark.parametrize(
    ("changed", "state", "words"),
    [
        ({}, AgentState.READY, "running"),
        ({"channel": False}, AgentState.NOT_INSTALLED, "no channel"),
        ({"connected": False, "seen": False, "info": None}, AgentState.NOT_INSTALLED, "ever seen"),
        ({"connected": False, "info": None}, AgentState.STOPPED, "any more"),
        ({"power": PowerState.STOPPED, "connected": False}, AgentState.STOPPED, "not running"),
        ({"power": PowerState.PAUSED}, AgentState.NOT_READY, "paused"),
        ({"silence": "no answer in 5 s", "info": None}, AgentState.NOT_READY, "no answer in 5 s"),
        ({"nonsense": "it sent garbage", "info": None}, AgentState.INCONSISTENT, "garbage"),
        ({"info": None}, AgentState.INCONSISTENT, "nothing"),
        ({"info": replace(INFO, version="new")}, AgentState.INCONSISTENT, "'new'"),
        ({"info": replace(INFO, enabled=frozenset())}, AgentState.INCONSISTENT, "guest-fsfreeze-thaw"),
        ({"info": replace(INFO, enabled=frozenset()), "frozen": True}, AgentState.READY, "running"),
        ({"info": replace(INFO, known=frozenset())}, AgentState.UNSUPPORTED, "does not know"),
        ({"info": replace(INFO, version="2.4.9")}, AgentState.UNSUPPORTED, "older than 2.5"),
        ({"info": replace(INFO, version="7.1.99 (Debian)")}, AgentState.OUT_OF_DATE, "older than 7.2"),
        ({"info": replace(INFO, version="7.2.0")}, AgentState.READY, "running"),
        ({"info": replace(INFO, version="10.0")}, AgentState.READY, "running"),
    ],
)
def test_each_state_has_its_evidence(changed: dict[str, object], state: AgentState, words: str) -> None:
    found, reason = judge(replace(READY, **changed), VERSIONS)  # type: ignore[arg-type]
    assert found is state
    assert words in reason


evidences = st.builds(
    AgentEvidence,
    power=st.sampled_from(PowerState),
    channel=st.booleans(),
    connected=st.booleans(),
    seen=st.booleans(),
    silence=st.sampled_from(["", "silent"]),
    nonsense=st.sampled_from(["", "nonsense"]),
    info=st.none()
    | st.builds(
        AgentInfo,
        version=st.text(max_size=20) | st.from_regex(r"\d{1,3}(\.\d{1,3}){0,3}", fullmatch=True),
        known=st.frozensets(st.sampled_from(sorted(COMMANDS))),
        enabled=st.frozensets(st.sampled_from(sorted(COMMANDS))),
    ),
    frozen=st.booleans(),
)


@given(evidences)
def test_an_agent_that_may_freeze_has_shown_that_it_can(evidence: AgentEvidence) -> None:
    state, reason = judge(evidence, VERSIONS)
    assert reason
    if state.can_freeze:
        assert evidence.power is PowerState.RUNNING
        assert evidence.channel and evidence.connected
        assert not evidence.silence and not evidence.nonsense
        assert evidence.info is not None and evidence.info.known >= FREEZE_COMMANDS
        assert evidence.frozen or evidence.info.enabled >= FREEZE_COMMANDS


@pytest.mark.parametrize(
    ("system", "family"),
    [
        (GuestSystem("debian", "Debian", "12", "6.1"), SystemFamily.LINUX),
        (GuestSystem("", "", "", "6.1"), SystemFamily.LINUX),
        (GuestSystem("mswindows", "Windows", "2022", ""), SystemFamily.WINDOWS),
        (GuestSystem("freebsd", "FreeBSD", "14", "14.0"), SystemFamily.OTHER),
        (GuestSystem("", "", "", ""), SystemFamily.OTHER),
    ],
)
def test_systems_have_families(system: GuestSystem, family: SystemFamily) -> None:
    assert system.family is family


def test_versions_are_told_from_other_words() -> None:
    assert is_version("7.2") and is_version("107.0.1")
    assert not is_version("") and not is_version("v7") and not is_version("7.2-rc1")
