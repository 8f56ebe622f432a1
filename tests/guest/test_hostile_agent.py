"""An agent that is not to be trusted, behind libvirt's real client, harms nobody but its own VM's label."""

import base64
import time
from collections.abc import Callable, Iterator
from uuid import UUID, uuid4

import pytest

from overwinter.guest.agent import GuestAgent
from overwinter.guest.agent_status import observe
from overwinter.guest.thaw import ensure_thawed, thaw_confirmed
from overwinter.hypervisor import inventory
from overwinter.hypervisor.agent import agent_command
from overwinter.hypervisor.connection import Hypervisor
from overwinter.jobs import freeze_by_agent, window
from overwinter.model.agent import DEFAULT_VERSIONS, FREEZE_COMMANDS, AgentState, judge
from overwinter.model.errors import (
    FreezeFailed,
    GuestAgentInconsistent,
    GuestAgentUnavailable,
    GuestCommandFailed,
    ThawUnconfirmed,
)
from overwinter.model.point import Consistency
from overwinter.model.vm import PowerState
from testkit.domains import TinyGuest
from testkit.hostile_agent import HostileAgent, hostile_agent

pytestmark = pytest.mark.libvirt

Command = dict[str, object]


@pytest.fixture(scope="module")
def _played(guest: TinyGuest) -> Iterator[HostileAgent]:
    with hostile_agent(guest) as played:
        yield played


@pytest.fixture
def played(_played: HostileAgent, hypervisor: Hypervisor, uuid: UUID) -> HostileAgent:
    """An agent that does what it is told, whatever the test before has made of the channel."""
    _played.on_sync = None
    word = uuid4().hex
    _played.on_command = lambda me, _: me.answer(word)
    try:
        is_clean = agent_command(hypervisor, uuid, {"execute": "guest-ping"}, timeout_s=1) == word
    except (GuestAgentUnavailable, GuestCommandFailed):
        is_clean = False
    if not is_clean:
        _played.restart()
    return _played


def raw(content: bytes) -> Callable[[HostileAgent, Command], None]:
    return lambda me, _: me.send(content + b"\n")


def in_slices(content: bytes) -> Callable[[HostileAgent, Command], None]:
    def say(me: HostileAgent, _: Command) -> None:
        for place in range(0, len(content), 3):
            me.send(content[place : place + 3])
            time.sleep(0.01)

    return say


def hanging_up(me: HostileAgent, _: Command) -> None:
    me.send(b'{"return": "fro')
    me.hang_up()


SAYINGS: dict[str, Callable[[HostileAgent, Command], None]] = {
    "nothing": lambda _me, _: None,
    "no newline": lambda me, _: me.flood(b"x" * 65536, seconds=1),
    "endless answers": lambda me, _: me.flood(b'{"return": {}}\n' * 2000, seconds=1),
    "too long for libvirt's protocol": raw(b'{"return": "' + b"A" * (5 << 20) + b'"}'),
    "no UTF-8": raw(b'{"return": "\xff\xfe\xc3"}'),
    "no UTF-8 in an error": raw(b'{"error": {"class": "GenericError", "desc": "\xff\xfe"}}'),
    "half a surrogate": raw(b'{"return": "\\ud800"}'),
    "deep nesting": raw(b'{"return": ' + b"[" * 50_000 + b"]" * 50_000 + b"}"),
    "a number of 5000 digits": raw(b'{"return": ' + b"9" * 5000 + b"}"),
    "no object": raw(b"[1, 2]"),
    "only an event": raw(b'{"event": "FROZEN"}'),
    "another type": raw(b'{"return": {"frozen": true}}'),
    "another word": raw(b'{"return": "Frozen"}'),
    "it dies in the middle": hanging_up,
}


@pytest.mark.parametrize("saying", SAYINGS)
def test_nonsense_is_no_answer_and_libvirt_is_not_blamed(
    played: HostileAgent, agent: GuestAgent, hypervisor: Hypervisor, uuid: UUID, saying: str
) -> None:
    played.on_command = SAYINGS[saying]
    with pytest.raises((GuestAgentUnavailable, GuestCommandFailed)) as caught:
        agent.frozen(timeout_s=1)
    assert caught.value.message.isprintable() and len(caught.value.message) < 500
    assert inventory.power_state(hypervisor, uuid) is PowerState.RUNNING


def test_what_an_agent_says_of_its_errors_is_cut_and_printable(
    played: HostileAgent, agent: GuestAgent
) -> None:
    played.on_command = raw(
        b'{"error": {"class": "GenericError", "desc": "' + b"\\u001b[2J" * 100_000 + b'"}}'
    )
    with pytest.raises(GuestCommandFailed) as caught:
        agent.frozen(timeout_s=1)
    assert caught.value.message.isprintable() and len(caught.value.message) < 500


def test_an_answer_in_slices_is_one_answer(played: HostileAgent, agent: GuestAgent) -> None:
    played.on_command = in_slices(b'{"return": "frozen"}\n')
    assert agent.frozen(timeout_s=5)


def test_an_answer_that_comes_late_is_not_taken_for_the_next_one(
    played: HostileAgent, agent: GuestAgent
) -> None:
    played.on_command = lambda _me, _: None
    with pytest.raises(GuestAgentUnavailable):
        agent.frozen(timeout_s=1)

    def late(me: HostileAgent, command: Command) -> None:
        arguments = command["arguments"]
        assert isinstance(arguments, dict)
        me.answer("frozen")
        me.answer(arguments["id"] - 1)
        me.answer(arguments["id"])

    played.on_sync = late
    played.on_command = lambda me, _: me.answer("thawed")
    assert not agent.frozen(timeout_s=5)


def test_echoes_of_another_synchronisation_are_no_synchronisation(
    played: HostileAgent, agent: GuestAgent
) -> None:
    played.on_command = lambda _me, _: None
    with pytest.raises(GuestAgentUnavailable):
        agent.frozen(timeout_s=1)  # libvirt synchronises anew after this
    played.on_sync = lambda me, _: me.answer(4711)
    played.on_command = lambda me, _: me.answer("frozen")
    with pytest.raises(GuestAgentUnavailable):
        agent.frozen(timeout_s=1)


def test_a_file_without_an_end_is_given_up(played: HostileAgent, agent: GuestAgent) -> None:
    content = base64.b64encode(b"x" * 1000).decode()
    answers: dict[str, object] = {
        "guest-file-open": 1,
        "guest-file-read": {"count": 1000, "buf-b64": content, "eof": False},
        "guest-file-close": {},
    }
    played.on_command = lambda me, command: me.answer(answers[str(command["execute"])])
    with pytest.raises(GuestCommandFailed, match="longer"):
        agent.read_file("/f", max_bytes=10_000)
    with pytest.raises(GuestCommandFailed, match="within"):
        agent.read_file("/f", max_bytes=1 << 30, timeout_s=0.1)
    answers["guest-file-read"] = {"count": 0, "buf-b64": "", "eof": False}
    assert agent.read_file("/f", max_bytes=10) == b""
    answers["guest-file-read"] = {"count": 5, "buf-b64": "", "eof": False}
    with pytest.raises(GuestAgentInconsistent):
        agent.read_file("/f", max_bytes=10)


def test_lies_about_frozen_file_systems_cost_the_label_only(
    played: HostileAgent, hypervisor: Hypervisor, uuid: UUID
) -> None:
    answers: dict[str, object] = {"guest-fsfreeze-freeze": 3, "guest-fsfreeze-thaw": 0}

    def lie(me: HostileAgent, command: Command) -> None:
        me.answer(answers.get(str(command["execute"]), "thawed"))

    played.on_command = lie
    taken: list[bool] = []
    result = window.run(hypervisor, uuid, lambda: taken.append(True))
    assert taken == [True]
    assert result.consistency is Consistency.CRASH
    played.on_command = lambda me, _: me.answer("frozen")
    with pytest.raises(ThawUnconfirmed):
        ensure_thawed(hypervisor, uuid, timeout_s=0.5)


def test_an_agent_that_never_answers_the_freeze_is_told_from_one_that_refuses(
    played: HostileAgent, hypervisor: Hypervisor, uuid: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(freeze_by_agent, "FREEZE_TIMEOUT_S", 1)
    answers: dict[str, object] = {"guest-fsfreeze-thaw": 0}

    def say(me: HostileAgent, command: Command) -> None:
        name = str(command["execute"])
        if name != "guest-fsfreeze-freeze":
            me.answer(answers.get(name, "thawed"))

    played.on_command = say
    result = window.run(hypervisor, uuid, lambda: None)
    assert result.consistency is Consistency.CRASH
    assert "GuestAgentSnapshotTaskStatusError" in {warning.code for warning in result.warnings}


@pytest.mark.parametrize(
    ("info", "state"),
    [
        ({"version": "9.9", "supported_commands": "all"}, AgentState.INCONSISTENT),
        ({"version": 9, "supported_commands": []}, AgentState.INCONSISTENT),
        ({"version": "1.0", "supported_commands": []}, AgentState.UNSUPPORTED),
        ({"version": "9.9", "supported_commands": []}, AgentState.UNSUPPORTED),
        (
            {
                "version": "9.9",
                "supported_commands": [{"name": name, "enabled": False} for name in sorted(FREEZE_COMMANDS)],
            },
            AgentState.INCONSISTENT,
        ),
    ],
)
def test_what_it_says_of_itself_makes_its_state(
    played: HostileAgent,
    agent: GuestAgent,
    hypervisor: Hypervisor,
    uuid: UUID,
    info: object,
    state: AgentState,
) -> None:
    played.on_command = lambda me, _: me.answer(info)
    seen = observe(agent, inventory.machine(hypervisor, uuid), seen=True)
    assert judge(seen.evidence, DEFAULT_VERSIONS)[0] is state


@pytest.mark.parametrize(("words", "confirmed"), [("fsfreeze hook has failed", True), ("no such", False)])
def test_a_hook_that_fails_once_all_is_thawed_leaves_no_doubt(
    played: HostileAgent, hypervisor: Hypervisor, uuid: UUID, words: str, confirmed: bool
) -> None:
    refusal = b'{"error": {"class": "GenericError", "desc": "%s"}}\n' % words.encode()

    def say(me: HostileAgent, command: Command) -> None:
        if command["execute"] == "guest-fsfreeze-thaw":
            me.send(refusal)
        else:
            me.answer("thawed")

    played.on_command = say
    assert thaw_confirmed(GuestAgent(hypervisor, uuid)) is confirmed


def test_a_hook_that_fails_at_the_freeze_is_the_cause(played: HostileAgent, agent: GuestAgent) -> None:
    refusal = b'{"error": {"class": "GenericError", "desc": "fsfreeze hook has failed with status 1"}}\n'
    played.on_command = lambda me, _: me.send(refusal)
    with pytest.raises(FreezeFailed) as refused:
        agent.freeze(timeout_s=5)
    assert refused.value.cause == "C-AGENT-ERROR"
