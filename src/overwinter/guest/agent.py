"""The QEMU guest agent of one VM: typed calls, each bounded in time and size.

Whatever the guest answers is checked before it is used (`replies`); an answer of an unexpected form counts as
no answer. The commands are those of QEMU's guest agent protocol (``qga/qapi-schema.json``).
"""

import base64
import time
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from overwinter.guest import replies
from overwinter.guest.vss import freeze_failure
from overwinter.hypervisor.agent import agent_command
from overwinter.hypervisor.connection import Hypervisor
from overwinter.model.agent import AgentInfo, GuestSystem
from overwinter.model.errors import FreezeFailed, GuestCommandFailed

#: Seconds for a command that the agent answers at once.
QUICK_S = 5

#: Seconds for a whole file, however slowly its pieces come.
FILE_S = 60.0

#: Bytes per read and write of a guest file; base64 makes it a third longer on the wire.
FILE_PIECE = 48 * 1024

#: In the agent's words when its hook failed, a program of the guest that it runs at freeze and thaw.
HOOK_FAILED = "fsfreeze hook"

_POLL_SECONDS = 0.1


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
        """Version and commands."""
        return replies.agent_info(self._call("guest-info"))

    def os_info(self) -> GuestSystem:
        """Operating system of the guest."""
        return replies.system(self._call("guest-get-osinfo"))

    def hostname(self) -> str:
        """The name the guest gives itself."""
        return replies.hostname(self._call("guest-get-host-name"))

    def clock(self) -> datetime:
        """What time it is in the guest."""
        return replies.clock(self._call("guest-get-time"))

    def freeze(self, timeout_s: int) -> int:
        """Freeze all file systems and return how many there were.

        After any error the guest may still be, or become, frozen: see to it that it is thawed.

        Raises FreezeFailed when the agent refuses or has nothing to freeze; GuestAgentUnavailable.
        """
        try:
            count = replies.count(
                self._call("guest-fsfreeze-freeze", timeout_s=timeout_s), "guest-fsfreeze-freeze"
            )
        except GuestCommandFailed as error:
            cause = "C-AGENT-ERROR" if HOOK_FAILED in error.message else None
            raise freeze_failure(error.message)(error.message, cause=cause) from error
        if count == 0:
            raise FreezeFailed("the guest agent found no file system that can be frozen", cause="C-NO-FS")
        return count

    def frozen(self, timeout_s: int = QUICK_S) -> bool:
        """Whether the agent holds file systems frozen."""
        return replies.is_frozen(self._call("guest-fsfreeze-status", timeout_s=timeout_s))

    def thaw(self, timeout_s: int = QUICK_S) -> int:
        """Thaw and return how many file systems were thawed; 0 when none was frozen any more."""
        return replies.count(self._call("guest-fsfreeze-thaw", timeout_s=timeout_s), "guest-fsfreeze-thaw")

    def read_file(self, path: str, max_bytes: int, timeout_s: float = FILE_S) -> bytes:
        """Contents of a file in the guest.

        Raises GuestCommandFailed when it is longer than ``max_bytes`` or takes longer than ``timeout_s``.
        """
        content = bytearray()
        deadline = time.monotonic() + timeout_s
        handle = self._open(path, "r")
        try:
            while True:
                answer = self._call("guest-file-read", {"handle": handle, "count": FILE_PIECE})
                piece, at_end = replies.file_piece(answer, FILE_PIECE)
                content += piece
                if len(content) > max_bytes:
                    raise GuestCommandFailed(f"{path} in the guest is longer than {max_bytes} bytes")
                if at_end:
                    return bytes(content)
                if time.monotonic() > deadline:
                    raise GuestCommandFailed(f"{path} in the guest was not read within {timeout_s:.0f} s")
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
                if replies.members(answer, "guest-file-write").get("count") != len(piece):
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
        return replies.file_piece(answer, FILE_PIECE)[0]

    def close_file(self, handle: int) -> None:
        """Close a file that was opened."""
        self._call("guest-file-close", {"handle": handle})

    def run(self, command: list[str], timeout_s: float) -> Completed:
        """Run a program in the guest and wait for its end.

        It is not stopped when ``timeout_s`` is over: the agent has no way to; GuestCommandFailed is raised.
        """
        answer = self._call("guest-exec", {"path": command[0], "arg": command[1:], "capture-output": True})
        pid = replies.count(replies.members(answer, "guest-exec").get("pid"), "guest-exec")
        deadline = time.monotonic() + timeout_s
        while True:
            ended = replies.exit_status(self._call("guest-exec-status", {"pid": pid}))
            if ended is not None:
                return Completed(*ended)
            if time.monotonic() > deadline:
                raise GuestCommandFailed(f"{command[0]} in the guest did not end within {timeout_s:.0f} s")
            time.sleep(_POLL_SECONDS)

    def _open(self, path: str, mode: str) -> int:
        return replies.count(self._call("guest-file-open", {"path": path, "mode": mode}), "guest-file-open")

    def _call(
        self, name: str, arguments: dict[str, object] | None = None, *, timeout_s: int = QUICK_S
    ) -> object:
        command: dict[str, object] = {"execute": name}
        if arguments is not None:
            command["arguments"] = arguments
        return agent_command(self._hypervisor, self._vm_uuid, command, timeout_s)
