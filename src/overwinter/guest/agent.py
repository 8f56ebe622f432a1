"""The QEMU guest agent of one VM: typed calls, each bounded in time and size.

Whatever the guest answers is checked before it is used; an answer of an unexpected form counts as no answer.
The commands are those of QEMU's guest agent protocol (``qga/qapi-schema.json``).
"""

import base64
import binascii
import time
from dataclasses import dataclass
from uuid import UUID

from overwinter.hypervisor.agent import agent_command
from overwinter.hypervisor.connection import Hypervisor
from overwinter.model.errors import FreezeFailed, GuestAgentUnavailable, GuestCommandFailed

#: Seconds for a command that the agent answers at once.
QUICK_S = 5

#: Bytes per read and write of a guest file; base64 makes it a third longer on the wire.
FILE_PIECE = 48 * 1024

_POLL_SECONDS = 0.1


@dataclass(frozen=True)
class AgentInfo:
    """Version of the agent, and the commands it allows."""

    version: str
    commands: frozenset[str]


@dataclass(frozen=True)
class OsInfo:
    """What the guest says about its operating system; empty where it says nothing."""

    id: str
    name: str
    version: str
    kernel: str


@dataclass(frozen=True)
class Completed:
    """A command that has ended in the guest. ``exit_code`` is null when a signal ended it."""

    exit_code: int | None
    output: bytes
    errors: bytes


class GuestAgent:
    """The agent in one VM.

    Every call raises GuestAgentUnavailable (no usable answer), NotFound and HypervisorUnavailable;
    GuestCommandFailed when the agent answers with an error.
    """

    def __init__(self, hypervisor: Hypervisor, vm_uuid: UUID) -> None:
        self._hypervisor = hypervisor
        self._vm_uuid = vm_uuid

    def ping(self, timeout_s: int = QUICK_S) -> None:
        """Return when the agent answers."""
        self._call("guest-ping", timeout_s=timeout_s)

    def info(self) -> AgentInfo:
        """Version and enabled commands."""
        answer = _members(self._call("guest-info"), "guest-info")
        commands = answer.get("supported_commands")
        if not isinstance(commands, list):
            raise _unusable("guest-info")
        enabled = [entry for entry in commands if isinstance(entry, dict) and entry.get("enabled") is True]
        return AgentInfo(
            version=_text(answer.get("version")),
            commands=frozenset(_text(entry.get("name")) for entry in enabled),
        )

    def os_info(self) -> OsInfo:
        """Operating system of the guest."""
        answer = _members(self._call("guest-get-osinfo"), "guest-get-osinfo")
        return OsInfo(
            id=_text(answer.get("id")),
            name=_text(answer.get("pretty-name") or answer.get("name")),
            version=_text(answer.get("version-id")),
            kernel=_text(answer.get("kernel-release")),
        )

    def freeze(self, timeout_s: int) -> int:
        """Freeze all file systems and return how many there were.

        After any error the guest may still be, or become, frozen: see to it that it is thawed.

        Raises FreezeFailed when the agent refuses or has nothing to freeze; GuestAgentUnavailable.
        """
        try:
            count = _count(self._call("guest-fsfreeze-freeze", timeout_s=timeout_s), "guest-fsfreeze-freeze")
        except GuestCommandFailed as error:
            raise FreezeFailed(error.message) from error
        if count == 0:
            raise FreezeFailed("the guest agent found no file system that can be frozen")
        return count

    def frozen(self, timeout_s: int = QUICK_S) -> bool:
        """Whether the agent holds file systems frozen."""
        status = self._call("guest-fsfreeze-status", timeout_s=timeout_s)
        if status not in ("frozen", "thawed"):
            raise _unusable("guest-fsfreeze-status")
        return status == "frozen"

    def thaw(self, timeout_s: int = QUICK_S) -> int:
        """Thaw and return how many file systems were thawed; 0 when none was frozen any more."""
        return _count(self._call("guest-fsfreeze-thaw", timeout_s=timeout_s), "guest-fsfreeze-thaw")

    def read_file(self, path: str, max_bytes: int) -> bytes:
        """Contents of a file in the guest. Raises GuestCommandFailed when it is longer than ``max_bytes``."""
        content = bytearray()
        handle = self._open(path, "r")
        try:
            while True:
                answer = self._call("guest-file-read", {"handle": handle, "count": FILE_PIECE})
                piece = _members(answer, "guest-file-read")
                content += _bytes(piece.get("buf-b64"), "guest-file-read")
                if len(content) > max_bytes:
                    raise GuestCommandFailed(f"{path} in the guest is longer than {max_bytes} bytes")
                if piece.get("eof") is True or not piece.get("count"):
                    return bytes(content)
        finally:
            self._call("guest-file-close", {"handle": handle})

    def write_file(self, path: str, content: bytes) -> None:
        """Make or overwrite a file in the guest."""
        handle = self._open(path, "w")
        try:
            for offset in range(0, len(content), FILE_PIECE):
                piece = content[offset : offset + FILE_PIECE]
                encoded = base64.b64encode(piece).decode()
                answer = self._call("guest-file-write", {"handle": handle, "buf-b64": encoded})
                if _members(answer, "guest-file-write").get("count") != len(piece):
                    raise GuestCommandFailed(f"{path} in the guest was not written in full")
            self._call("guest-file-flush", {"handle": handle})
        finally:
            self._call("guest-file-close", {"handle": handle})

    def open_file(self, path: str, mode: str) -> int:
        """Open a file in the guest (``mode`` as for C's fopen); the handle lasts as long as the agent."""
        return self._open(path, mode)

    def read_open(self, handle: int) -> bytes:
        """What is there to be read from an open file, at most ``FILE_PIECE`` bytes; empty at its end."""
        answer = self._call("guest-file-read", {"handle": handle, "count": FILE_PIECE})
        return _bytes(_members(answer, "guest-file-read").get("buf-b64"), "guest-file-read")

    def close_file(self, handle: int) -> None:
        """Close a file that was opened."""
        self._call("guest-file-close", {"handle": handle})

    def run(self, command: list[str], timeout_s: float) -> Completed:
        """Run a program in the guest and wait for its end.

        It is not stopped when ``timeout_s`` is over: the agent has no way to; GuestCommandFailed is raised.
        """
        answer = self._call("guest-exec", {"path": command[0], "arg": command[1:], "capture-output": True})
        pid = _count(_members(answer, "guest-exec").get("pid"), "guest-exec")
        deadline = time.monotonic() + timeout_s
        while True:
            status = _members(self._call("guest-exec-status", {"pid": pid}), "guest-exec-status")
            if status.get("exited") is True:
                return _completed(status)
            if time.monotonic() > deadline:
                raise GuestCommandFailed(f"{command[0]} in the guest did not end within {timeout_s:.0f} s")
            time.sleep(_POLL_SECONDS)

    def _open(self, path: str, mode: str) -> int:
        return _count(self._call("guest-file-open", {"path": path, "mode": mode}), "guest-file-open")

    def _call(
        self, name: str, arguments: dict[str, object] | None = None, *, timeout_s: int = QUICK_S
    ) -> object:
        command: dict[str, object] = {"execute": name}
        if arguments is not None:
            command["arguments"] = arguments
        return agent_command(self._hypervisor, self._vm_uuid, command, timeout_s)


def _completed(status: dict[str, object]) -> Completed:
    exit_code = status.get("exitcode")
    return Completed(
        exit_code=_count(exit_code, "guest-exec-status") if exit_code is not None else None,
        output=_bytes(status.get("out-data", ""), "guest-exec-status"),
        errors=_bytes(status.get("err-data", ""), "guest-exec-status"),
    )


def _unusable(command: str) -> GuestAgentUnavailable:
    return GuestAgentUnavailable(f"the guest agent's answer to {command} makes no sense")


def _members(answer: object, command: str) -> dict[str, object]:
    if not isinstance(answer, dict):
        raise _unusable(command)
    return answer


def _count(answer: object, command: str) -> int:
    if not isinstance(answer, int) or isinstance(answer, bool) or answer < 0:
        raise _unusable(command)
    return answer


def _bytes(answer: object, command: str) -> bytes:
    if not isinstance(answer, str):
        raise _unusable(command)
    try:
        return base64.b64decode(answer, validate=True)
    except binascii.Error as error:
        raise _unusable(command) from error


def _text(answer: object) -> str:
    """A short printable string, whatever the guest sent."""
    return "".join(c for c in answer[:200] if c.isprintable()) if isinstance(answer, str) else ""
