"""Talking to a guest through qemu-guest-agent, the way tests need it: commands, programs, files."""

import json
import time
from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import Any

import libvirt
import libvirt_qemu

#: How long one answer may take; the agent answers at once even under emulation.
ANSWER_LIMIT_SECONDS = 30

#: Files go in pieces of this size: messages of some hundred KiB get lost on their way to the guest.
FILE_PIECE_BYTES = 48 * 1024


class GuestError(Exception):
    """The guest did not do what was asked of it."""


@dataclass(frozen=True)
class Completed:
    """How a program in the guest ended."""

    exit_code: int
    output: str
    errors: str


class GuestAgent:
    """The agent of one running domain. libvirt's own errors pass through."""

    def __init__(self, domain: libvirt.virDomain) -> None:
        self._domain = domain

    @property
    def answers(self) -> bool:
        """Whether the agent reacts right now."""
        try:
            libvirt_qemu.qemuAgentCommand(self._domain, '{"execute": "guest-ping"}', 2, 0)
        except libvirt.libvirtError:
            return False
        return True

    def command(self, name: str, **arguments: object) -> Any:
        """The ``return`` value of one agent command; underscores in argument names become dashes."""
        message = {
            "execute": name,
            "arguments": {key.replace("_", "-"): value for key, value in arguments.items()},
        }
        answer = libvirt_qemu.qemuAgentCommand(self._domain, json.dumps(message), ANSWER_LIMIT_SECONDS, 0)
        return json.loads(answer)["return"]

    def run(self, script: str, limit: float = 120.0) -> Completed:
        """Run a shell script in the guest to its end, whatever its exit code."""
        arguments = {"path": "/bin/sh", "arg": ["-c", script], "capture_output": True}
        pid = self.command("guest-exec", **arguments)["pid"]
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            status = self.command("guest-exec-status", pid=pid)
            if status["exited"]:
                return Completed(
                    exit_code=status.get("exitcode", 128 + status.get("signal", 0)),
                    output=b64decode(status.get("out-data", "")).decode(),
                    errors=b64decode(status.get("err-data", "")).decode(),
                )
            time.sleep(0.05)
        raise GuestError(f"still running after {limit:.0f} s: {script}")

    def check(self, script: str, limit: float = 120.0) -> str:
        """Output of a shell script in the guest, which must succeed."""
        done = self.run(script, limit)
        if done.exit_code != 0:
            raise GuestError(f"exit code {done.exit_code}: {script}\n{done.output}{done.errors}")
        return done.output

    def write_file(self, path: str, content: bytes) -> None:
        """Write a file in the guest and make it durable there."""
        handle = self.command("guest-file-open", path=path, mode="w")
        for start in range(0, len(content), FILE_PIECE_BYTES):
            piece = b64encode(content[start : start + FILE_PIECE_BYTES]).decode()
            self.command("guest-file-write", handle=handle, buf_b64=piece)
        self.command("guest-file-close", handle=handle)
        self.check("sync")

    def read_file(self, path: str) -> bytes:
        """Content of a file in the guest."""
        handle = self.command("guest-file-open", path=path, mode="r")
        content = b""
        while True:
            answer = self.command("guest-file-read", handle=handle, count=FILE_PIECE_BYTES)
            content += b64decode(answer["buf-b64"])
            if answer["eof"]:
                self.command("guest-file-close", handle=handle)
                return content
