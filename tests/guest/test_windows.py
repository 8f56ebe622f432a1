"""A Windows guest, as far as it goes without one: replies made by hand after the agent's source."""

import json
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import libvirt
import libvirt_qemu
import pytest

from overwinter.guest.agent import GuestAgent
from overwinter.guest.vss import freeze_failure
from overwinter.hypervisor.connection import Hypervisor
from overwinter.model.errors import FreezeFailed, GuestCommandFailed

REPLIES: dict[str, Any] = json.loads(Path(__file__).with_name("windows_replies.json").read_text())


def test_its_system_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("overwinter.guest.agent.agent_command", lambda *_: REPLIES["guest-get-osinfo"])
    known = GuestAgent(None, uuid4()).os_info()  # type: ignore[arg-type]
    assert (known.id, known.name, known.version) == ("mswindows", "Windows Server 2022 Standard", "2022")


@pytest.mark.libvirt
@pytest.mark.parametrize("failure", REPLIES["failures"], ids=lambda failure: failure["desc"][:40])
def test_failures_of_shadow_copy_have_their_codes(
    failure: dict[str, str], hypervisor: Hypervisor, uuid: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = failure["execute"]

    def refuse(*_: object) -> str:
        error = libvirt.libvirtError("")
        words = f"internal error: unable to execute QEMU agent command '{command}': {failure['desc']}"
        error.err = (libvirt.VIR_ERR_INTERNAL_ERROR, 0, words, 2, words, None, None, -1, -1)
        raise error

    monkeypatch.setattr(libvirt_qemu, "qemuAgentCommand", refuse)
    agent = GuestAgent(hypervisor, uuid)
    with pytest.raises((FreezeFailed, GuestCommandFailed)) as caught:
        if command == "guest-fsfreeze-freeze":
            agent.freeze(5)
        else:
            agent.thaw()
    assert freeze_failure(caught.value.message).code == failure["code"]
    if command == "guest-fsfreeze-freeze":
        assert caught.value.code == failure["code"]
