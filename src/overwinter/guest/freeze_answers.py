"""What a session of the extension says, read strictly: a line of another form counts as not said.

The room ``extension`` writes the lines (``session.py``); whoever is root in the guest can write others.
"""

import json
from dataclasses import dataclass
from enum import StrEnum

from overwinter.model.freeze import NO_SCRIPTS, MountRecord, NotFrozen, ScriptsRecord

#: A session that says more than this is not listened to any further.
MOST_BYTES = 1024 * 1024

#: Mounts that are listened to.
MOST_MOUNTS = 200

_LONGEST = 200


class Event(StrEnum):
    """What a session can say that matters to the host."""

    STARTED = "started"
    RESTING = "resting"
    READY = "ready"
    FAILED = "failed"
    FROZEN = "frozen"
    THAWED = "thawed"
    ENDED = "ended"


@dataclass(frozen=True)
class Answer:
    """One line.

    ``version``, ``size`` and ``crc`` come with ``started``; ``message`` with ``failed``, and ``errno`` when
    the kernel refused to freeze; ``by``, ``held``, ``ms`` and the mounts with ``thawed``; the scripts with
    ``ready`` and ``ended``; ``pid`` is a process of the session.
    """

    event: Event
    message: str = ""
    errno: int = 0
    pid: int = 0
    version: str = ""
    size: int = 0
    crc: int = 0
    by: str = ""
    held: bool = False
    ms: int = 0
    mounts: tuple[MountRecord, ...] = ()
    unlisted: int = 0
    scripts: ScriptsRecord = NO_SCRIPTS


def answers(content: bytes) -> list[Answer]:
    """The lines that are whole and understood."""
    whole, _, _ = content[:MOST_BYTES].rpartition(b"\n")
    read = (_answer(line) for line in whole.split(b"\n"))
    return [answer for answer in read if answer is not None]


def _answer(line: bytes) -> Answer | None:
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict):
        return None
    try:
        event = Event(str(said.get("event")))
    except ValueError:
        return None
    listed = said.get("mounts")
    mounts = listed if isinstance(listed, list) else []
    records = [_mount(each) for each in mounts[:MOST_MOUNTS]]
    if any(record is None for record in records):
        return None
    return Answer(
        event=event,
        message=_text(said.get("message")),
        errno=_number(said.get("errno")),
        pid=_number(said.get("pid")),
        version=_text(said.get("version")),
        size=_number(said.get("size")),
        crc=_number(said.get("crc")),
        by=_text(said.get("by")),
        held=said.get("held") is True,
        ms=_number(said.get("ms")),
        mounts=tuple(record for record in records if record is not None),
        unlisted=_number(said.get("more")) + max(0, len(mounts) - MOST_MOUNTS),
        scripts=_scripts(said.get("scripts")),
    )


def _mount(said: object) -> MountRecord | None:
    if not isinstance(said, dict):
        return None
    why_not = said.get("why_not")
    try:
        reason = None if why_not is None else NotFrozen(why_not)
    except ValueError:
        return None
    return MountRecord(
        point=_text(said.get("point")),
        source=_text(said.get("source")),
        type=_text(said.get("type")),
        why_not=reason,
        message=_text(said.get("message")),
    )


def _scripts(said: object) -> ScriptsRecord:
    if not isinstance(said, dict):
        return ScriptsRecord()
    return ScriptsRecord(
        configured=said.get("configured") is True,
        at_rest=said.get("rest") is True,
        freeze=said.get("freeze") is not False,
        required=said.get("required") is True,
        code=_number(said.get("code")),
        message=_text(said.get("message")),
    )


def _number(said: object) -> int:
    good = isinstance(said, int) and not isinstance(said, bool) and 0 <= said < 1 << 32
    return said if good and isinstance(said, int) else 0


def _text(said: object) -> str:
    return "".join(c for c in said[:_LONGEST] if c.isprintable()) if isinstance(said, str) else ""
