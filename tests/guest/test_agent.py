"""The agent of a real guest; and what a guest may answer that is not to be trusted."""

import os
import time
from uuid import UUID, uuid4

import pytest

from overwinter.guest import agent as agent_module
from overwinter.guest.agent import GuestAgent
from overwinter.guest.agent_status import observe
from overwinter.guest.thaw import ensure_thawed
from overwinter.hypervisor import inventory
from overwinter.hypervisor.connection import Hypervisor
from overwinter.model.agent import DEFAULT_VERSIONS, AgentState, judge
from overwinter.model.errors import (
    FreezeFailed,
    GuestAgentUnavailable,
    GuestCommandFailed,
    NotFound,
    ThawUnconfirmed,
)
from testkit.disks import DiskSpec
from testkit.domains import GuestMaker, TinyGuest


@pytest.mark.libvirt
def test_the_agent_tells_about_itself_and_its_system(agent: GuestAgent) -> None:
    agent.ping()
    info = agent.info()
    assert info.version
    assert {"guest-ping", "guest-fsfreeze-freeze", "guest-exec"} <= info.enabled <= info.known
    assert agent.os_info().kernel


@pytest.mark.libvirt
def test_freezing_counts_file_systems_and_thawing_is_confirmed(
    hypervisor: Hypervisor, uuid: UUID, agent: GuestAgent
) -> None:
    assert agent.freeze(timeout_s=5) == 2
    assert agent.frozen()
    with pytest.raises(FreezeFailed):
        agent.freeze(timeout_s=5)
    with pytest.raises(GuestCommandFailed):
        agent.run(["/bin/true"], timeout_s=5)
    assert agent.thaw() == 2
    assert not agent.frozen()
    assert agent.thaw() == 0
    ensure_thawed(hypervisor, uuid, timeout_s=5)


@pytest.mark.libvirt
def test_files_and_programs(agent: GuestAgent) -> None:
    content = os.urandom(150_000)
    agent.write_file("/run/file", content)
    assert agent.read_file("/run/file", max_bytes=len(content)) == content
    with pytest.raises(GuestCommandFailed, match="longer"):
        agent.read_file("/run/file", max_bytes=len(content) - 1)
    with pytest.raises(GuestCommandFailed):
        agent.read_file("/run/missing", max_bytes=1)
    agent.write_file("/run/empty", b"")
    assert agent.read_file("/run/empty", max_bytes=0) == b""
    done = agent.run(["/bin/sh", "-c", "echo out; echo err >&2; exit 3"], timeout_s=20)
    assert (done.exit_code, done.output, done.errors) == (3, b"out\n", b"err\n")
    with pytest.raises(GuestCommandFailed, match="did not end"):
        agent.run(["/bin/sleep", "5"], timeout_s=0.2)


@pytest.mark.libvirt
def test_an_unknown_vm_is_not_found_and_counts_as_thawed(hypervisor: Hypervisor) -> None:
    with pytest.raises(NotFound):
        GuestAgent(hypervisor, uuid4()).ping()
    ensure_thawed(hypervisor, uuid4(), timeout_s=0)


@pytest.mark.libvirt
def test_an_agent_that_dies_frozen_is_survived_and_one_that_stays_away_is_reported(
    hypervisor: Hypervisor, guests: GuestMaker
) -> None:
    guest = guests.make("agentless", [DiskSpec(size=32 << 20)])
    uuid = UUID(guest.domain.UUIDString())
    agent = GuestAgent(hypervisor, uuid)
    try:
        agent.freeze(timeout_s=5)
        guest.kill_agent()
        ensure_thawed(hypervisor, uuid, timeout_s=30)
        agent.write_file(_mounted(guest) + "/after", b"alive")

        assert _state(hypervisor, uuid) is AgentState.READY
        agent.freeze(timeout_s=5)
        assert _state(hypervisor, uuid) is AgentState.READY  # frozen, and nothing is wrong with the agent
        guest.stop_agent()
        assert _state(hypervisor, uuid) is AgentState.STOPPED
        assert _state(hypervisor, uuid, seen=False) is AgentState.NOT_INSTALLED
        began = time.monotonic()
        with pytest.raises(GuestAgentUnavailable):
            agent.ping(timeout_s=1)
        assert time.monotonic() - began < 15
        with pytest.raises(ThawUnconfirmed, match="reset"):
            ensure_thawed(hypervisor, uuid, timeout_s=0.5)
        guest.resume_agent()
        ensure_thawed(hypervisor, uuid, timeout_s=30)
        agent.write_file(_mounted(guest) + "/again", b"alive")
    finally:
        guest.destroy()
    ensure_thawed(hypervisor, uuid, timeout_s=0)
    with pytest.raises(GuestAgentUnavailable):
        agent.ping()
    guests.remove(guest)


def _state(hypervisor: Hypervisor, uuid: UUID, *, seen: bool = True) -> AgentState:
    machine = inventory.machine(hypervisor, uuid)
    evidence = observe(GuestAgent(hypervisor, uuid), machine, seen=seen).evidence
    return judge(evidence, DEFAULT_VERSIONS)[0]


def _mounted(guest: TinyGuest) -> str:
    return guest.agent.check("awk '$1 ~ \"^/dev/vd\" {print $2; exit}' /proc/mounts").strip()


NONSENSE: list[object] = [
    None,
    7,
    "text",
    [],
    {},
    {"pid": True},
    {"pid": -1},
    {"exited": True, "exitcode": "x"},
]


@pytest.mark.parametrize("answer", NONSENSE, ids=repr)
def test_answers_of_another_form_count_as_no_answer(monkeypatch: pytest.MonkeyPatch, answer: object) -> None:
    """A hostile agent; the channel itself is real in the tests above."""
    monkeypatch.setattr(agent_module, "agent_command", lambda *_: answer)
    agent = GuestAgent(Hypervisor(), uuid4())
    with pytest.raises(GuestAgentUnavailable):
        agent.info()
    with pytest.raises(GuestAgentUnavailable):
        agent.run(["/bin/true"], timeout_s=0)
    if answer != 7:
        with pytest.raises(GuestAgentUnavailable):
            agent.freeze(timeout_s=1)
        with pytest.raises(GuestAgentUnavailable):
            agent.read_file("/f", max_bytes=1)
    with pytest.raises(GuestAgentUnavailable):
        agent.frozen()


def test_names_a_guest_tells_are_short_and_printable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        agent_module, "agent_command", lambda *_: {"id": "\x1b[2Jx" + "y" * 500, "pretty-name": 5}
    )
    info = GuestAgent(Hypervisor(), uuid4()).os_info()
    assert info.id.startswith("[2Jx")
    assert len(info.id) <= 200
    assert info.name == ""
