"""Steps 3 and 4, extensions: which of them failed, and how did the one that takes snapshots end?

Python 3.6, standard library only.
"""

from typing import NamedTuple

from overwinter.extension.doctor.checks.finding import Finding, failed, passed, warned, worst
from overwinter.extension.doctor.facts.handlers import Handler, Said
from overwinter.extension.doctor.facts.snapshot import Facts
from overwinter.extension.doctor.text import need

#: How the names of the extension end: Azure's for both systems, and ours.
_SNAPSHOT = ("VMSnapshot", "VMSnapshotLinux")

#: What Azure's extension says at the end of a backup that went well, or while it is under way.
_ENDED_WELL, _UNDER_WAY = ("0", "1"), "4"


class _End(NamedTuple):
    """The code that a backup ends with, and what to do about it."""

    code: str
    remedy: str


_NO_NETWORK = _End("ExtensionSnapshotFailedNoNetwork", "S-NET-5")
_FREEZE = _End("UserErrorFsFreezeFailed", "S-FREEZE")

#: By the number that Azure's extension ends with; others have no code of their own.
_ENDS = {
    "15": _NO_NETWORK,
    "76": _NO_NETWORK,
    "761": _NO_NETWORK,
    "85": _End("ExtensionFailedSnapshotLimitReachedError", "S-SNAPSHOT-LIMIT"),
    "121": _FREEZE,
    "122": _FREEZE,
    "123": _End("UserErrorUnableToOpenMount", "S-MOUNT-REPAIR"),
    "300": _End("Pre-ScriptExecutionFailed", "S-SCRIPT-LOG"),
    "301": _End("Post-ScriptExecutionFailed", "S-SCRIPT-LOG"),
    "302": _End("Pre-ScriptNotFound", "S-SCRIPT-PATH"),
    "303": _End("Post-ScriptNotFound", "S-SCRIPT-PATH"),
    "304": _End("IncorrectPluginhostFile", "S-SCRIPT-FILE"),
    "305": _End("IncorrectJSONConfigFile", "S-SCRIPT-FILE"),
    "306": _End("InsufficientPermissionforPre-Script", "S-SCRIPT-MODE"),
    "307": _End("InsufficientPermissionforPost-Script", "S-SCRIPT-MODE"),
    "308": _End("Pre-ScriptTimeout", "S-SCRIPT-TIME"),
    "309": _End("Post-ScriptTimeout", "S-SCRIPT-TIME"),
}


def provisioned(facts: Facts) -> Finding:
    """H3.1."""
    handlers = need(facts.handlers)
    if not handlers:
        return passed("extensions-none")
    result = worst(_state(handler) for handler in handlers)
    if result.status == "pass":
        return passed("extensions-ready", [_name(handler) for handler in handlers])
    return result


def _name(handler: Handler) -> str:
    return " ".join(part for part in (handler.name, handler.version) if part)


def _state(handler: Handler) -> Finding:
    name = _name(handler)
    if handler.unreadable is not None:
        return failed("extension-unreadable", "S-EXT-4", [handler.unreadable], extension=name)
    if handler.state == "FailedUpgrade":
        return failed("extension-upgrade", "S-EXT-4", [handler.folder], extension=name)
    agent, own = handler.agent, handler.own
    if agent is not None and (
        agent.status == "Unresponsive" or (agent.status == "NotReady" and agent.code not in ("", "0"))
    ):
        return failed("extension-failed", "S-EXT-4", [_words(agent)], extension=name)
    if own is not None and own.status not in ("success", "warning", "transitioning"):
        return failed("extension-failed", "S-EXT-4", [_words(own)], extension=name)
    if agent is not None and agent.status != "Ready":
        return warned("extension-changing", "S-EXT-WAIT", [_words(agent)], extension=name)
    if own is not None and own.status == "transitioning":
        return warned("extension-changing", "S-EXT-WAIT", [_words(own)], extension=name)
    return passed("extensions-ready")


def _words(said: Said) -> str:
    return " ".join(part for part in (said.status, said.code, said.message) if part)


def snapshot_extension(facts: Facts) -> Finding:
    """H4.1.

    Azure's extension says ``success`` however a backup ended; what counts is the number beside it.
    """
    handlers = [h for h in need(facts.handlers) if h.name.rsplit(".", 1)[-1] in _SNAPSHOT]
    if not handlers:
        return passed("snapshot-absent")
    return worst(_snapshot_state(handler) for handler in handlers)


def _snapshot_state(handler: Handler) -> Finding:
    name = _name(handler)
    state = _state(handler)
    if state.status == "fail":
        return failed("snapshot-failed", "S-EXT-1", state.evidence, extension=name)
    own = handler.own
    if own is None or not handler.name.startswith("Microsoft."):
        return passed("snapshot-ready", extension=name)
    if own.code == _UNDER_WAY:
        return passed("snapshot-under-way", extension=name)
    if own.code in _ENDED_WELL:
        return passed("snapshot-ended-well", extension=name)
    end = _ENDS.get(own.code)
    return failed(
        "snapshot-ended",
        end.remedy if end else "S-EXT-5",
        [_words(own)],
        [end.code] if end else [],
        extension=name,
        number=own.code,
    )
