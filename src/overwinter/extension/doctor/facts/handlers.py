"""Extensions that an agent, or Overwinter's host, has installed: what their folders tell.

The folders are those of the handler contract of Azure's agents: ``<name>-<version>``, in them
``config/HandlerState``, ``config/HandlerStatus`` and ``status/<sequence number>.status``. Settings are never
read: they hold secrets.

Python 3.6, standard library only.
"""

import re
from typing import Any, Dict, NamedTuple, Optional, Tuple

from overwinter.extension.doctor.facts.document import load
from overwinter.extension.doctor.facts.versions import numbers
from overwinter.extension.doctor.machine import Machine

_AGENT_FOLDER = "/var/lib/waagent"

#: Where Overwinter's host puts its own, the only one, and what is there when it has.
_OWN_NAME = "Overwinter.VMSnapshotLinux"
_OWN_FOLDER = "/var/lib/overwinter-extension"
_OWN_PACKAGE = _OWN_FOLDER + "/extension.pyz"

_NAME = re.compile(r"^(?P<name>[^-]+\.[^-]+)-(?P<version>\d+(?:\.\d+)+\S*)$")

#: Larger status files are refused by the agent as well.
_MOST_STATUS_BYTES = 128 * 1024

_MOST_MESSAGE = 400


class Said(NamedTuple):
    """A status with its code and its words.

    ``code`` is a text because some extensions write numbers, some texts.
    """

    status: str
    code: str
    message: str


class Handler(NamedTuple):
    """An extension. ``agent`` is what the agent says of it, ``own`` what it says itself.

    ``state`` is the agent's word for how far it has come (``NotInstalled``, ``Installed``, ``Enabled``,
    ``FailedUpgrade``); ours, which no agent manages, has none, and no version. ``unreadable`` names a status
    file that is no JSON of the agreed form.
    """

    name: str
    version: str
    folder: str
    state: str
    agent: Optional[Said]
    own: Optional[Said]
    unreadable: Optional[str]


def read(machine: Machine) -> Tuple[Handler, ...]:
    """The newest version of every extension. Raises OSError."""
    newest: Dict[str, Tuple[Tuple[int, ...], Handler]] = {}
    for entry in machine.names(_AGENT_FOLDER):
        named = _NAME.match(entry)
        folder = _AGENT_FOLDER + "/" + entry
        if named is None or not machine.names(folder):
            continue
        handler = _handler(machine, named.group("name"), named.group("version"), folder)
        order = numbers(handler.version)
        if handler.name not in newest or newest[handler.name][0] < order:
            newest[handler.name] = (order, handler)
    found = [handler for _, handler in newest.values()]
    if machine.exists(_OWN_PACKAGE):
        found.append(_handler(machine, _OWN_NAME, "", _OWN_FOLDER))
    return tuple(sorted(found, key=lambda handler: handler.name))


def _handler(machine: Machine, name: str, version: str, folder: str) -> Handler:
    agent_path = folder + "/config/HandlerStatus"
    own_path = _latest_report(machine, folder + "/status")
    unreadable = None
    agent = own = None
    try:
        agent = _said(_document(machine, agent_path))
    except ValueError:
        unreadable = agent_path
    if own_path is not None:
        try:
            own = _said(_first(_document(machine, own_path)))
        except ValueError:
            unreadable = own_path
    state = (machine.read_text(folder + "/config/HandlerState") or "").strip()
    return Handler(name, version, folder, state, agent, own, unreadable)


def _latest_report(machine: Machine, folder: str) -> Optional[str]:
    sequence = [name for name in machine.names(folder, "*.status") if name.split(".")[0].isdigit()]
    if not sequence:
        return None
    return folder + "/" + max(sequence, key=lambda name: int(name.split(".")[0]))


def _document(machine: Machine, path: str) -> Any:
    content = machine.read_text(path, _MOST_STATUS_BYTES)
    return None if content is None else load(content)


def _first(document: Any) -> Any:
    """Of the list in a status file only the first counts. Raises ValueError."""
    if not isinstance(document, list) or not document or not isinstance(document[0], dict):
        raise ValueError(document)
    return document[0].get("status", {})


def _said(document: Any) -> Optional[Said]:
    """Raises ValueError: it is of another form."""
    if document is None:
        return None
    if not isinstance(document, dict) or not isinstance(document.get("status"), str):
        raise ValueError(document)
    words = document.get("formattedMessage")
    message = words.get("message") if isinstance(words, dict) else document.get("message")
    return Said(document["status"], str(document.get("code", "")), str(message or "")[:_MOST_MESSAGE])
