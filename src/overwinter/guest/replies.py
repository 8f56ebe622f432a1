"""What the agent's answers mean, read strictly: pure functions of whatever a guest may send.

Each raises GuestAgentInconsistent for an answer of another form, and nothing else. Texts are made short and
printable, numbers are bounded: what a guest says ends up in databases, logs and on terminals.
"""

import base64
import binascii
import re
from datetime import UTC, datetime, timedelta

from overwinter.model.agent import AgentInfo, GuestSystem
from overwinter.model.errors import GuestAgentInconsistent

#: Numbers of the protocol are 64-bit integers.
MOST = (1 << 63) - 1

#: Commands of an agent that are looked at; QEMU's has fewer than a hundred.
MOST_COMMANDS = 1000

_LABEL = 200
_COMMAND = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def unusable(command: str) -> GuestAgentInconsistent:
    """The error for an answer of another form."""
    return GuestAgentInconsistent(f"the guest agent's answer to {command} makes no sense")


def members(answer: object, command: str) -> dict[str, object]:
    """An answer that is an object."""
    if not isinstance(answer, dict):
        raise unusable(command)
    return answer


def count(answer: object, command: str) -> int:
    """An answer that is a number from 0 on."""
    if not isinstance(answer, int) or isinstance(answer, bool) or not 0 <= answer <= MOST:
        raise unusable(command)
    return answer


def content(answer: object, command: str) -> bytes:
    """An answer that is bytes in base64."""
    if not isinstance(answer, str):
        raise unusable(command)
    try:
        return base64.b64decode(answer, validate=True)
    except (binascii.Error, ValueError) as error:
        raise unusable(command) from error


def label(answer: object) -> str:
    """A short printable text, whatever the guest sent; empty for what is no text."""
    return "".join(c for c in answer[:_LABEL] if c.isprintable()) if isinstance(answer, str) else ""


def is_frozen(answer: object) -> bool:
    """Answer to guest-fsfreeze-status."""
    if answer not in ("frozen", "thawed"):
        raise unusable("guest-fsfreeze-status")
    return answer == "frozen"


def agent_info(answer: object) -> AgentInfo:
    """Answer to guest-info."""
    commands = members(answer, "guest-info").get("supported_commands")
    if not isinstance(commands, list) or len(commands) > MOST_COMMANDS:
        raise unusable("guest-info")
    known: set[str] = set()
    enabled: set[str] = set()
    for entry in commands:
        name = members(entry, "guest-info").get("name")
        if not isinstance(name, str) or not _COMMAND.fullmatch(name):
            raise unusable("guest-info")
        known.add(name)
        if members(entry, "guest-info").get("enabled") is True:
            enabled.add(name)
    version = members(answer, "guest-info").get("version")
    return AgentInfo(label(version), frozenset(known), frozenset(enabled))


def system(answer: object) -> GuestSystem:
    """Answer to guest-get-osinfo; every member may be missing."""
    found = members(answer, "guest-get-osinfo")
    return GuestSystem(
        id=label(found.get("id")),
        name=label(found.get("pretty-name") or found.get("name")),
        version=label(found.get("version-id")),
        kernel=label(found.get("kernel-release")),
    )


def hostname(answer: object) -> str:
    """Answer to guest-get-host-name."""
    return label(members(answer, "guest-get-host-name").get("host-name"))


def clock(answer: object) -> datetime:
    """Answer to guest-get-time: nanoseconds since 1970."""
    try:
        return _EPOCH + timedelta(microseconds=count(answer, "guest-get-time") // 1000)
    except OverflowError as error:
        raise unusable("guest-get-time") from error


def file_piece(answer: object, most: int) -> tuple[bytes, bool]:
    """Answer to guest-file-read of at most ``most`` bytes: the bytes, and whether the file ends there.

    Without bytes it must be the end: nobody reads on for ever.
    """
    found = members(answer, "guest-file-read")
    piece, at_end = content(found.get("buf-b64"), "guest-file-read"), found.get("eof")
    told = count(found.get("count"), "guest-file-read")
    if not isinstance(at_end, bool) or told != len(piece) or len(piece) > most:
        raise unusable("guest-file-read")
    return piece, at_end or not piece


def exit_status(answer: object) -> tuple[int | None, bytes, bytes] | None:
    """Answer to guest-exec-status: exit code (None: killed), output and errors; None while it runs."""
    found = members(answer, "guest-exec-status")
    exited = found.get("exited")
    if not isinstance(exited, bool):
        raise unusable("guest-exec-status")
    if not exited:
        return None
    code = found.get("exitcode")
    return (
        None if code is None else count(code, "guest-exec-status"),
        content(found.get("out-data", ""), "guest-exec-status"),
        content(found.get("err-data", ""), "guest-exec-status"),
    )
