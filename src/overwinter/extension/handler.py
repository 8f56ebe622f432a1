"""The extension as a handler: what an agent calls to install, enable, disable, update and uninstall it.

The contract is that of Azure's Linux agent: the working directory is the handler's folder, in it
``HandlerEnvironment.json`` names the folders for settings and status, and the result of a command goes to
``<sequence number>.status``. Overwinter's host calls the same commands through the QEMU guest agent.

Python 3.6, standard library only.
"""

import ctypes
import json
import os
import shutil
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple

from overwinter.extension import paths
from overwinter.extension.errors import Unfit
from overwinter.extension.journal import END, check_in_memory
from overwinter.extension.log import log

NAME = "VMSnapshotLinux"

_NEEDED = ("mlockall", "syncfs")


class Environment(NamedTuple):
    """Where the agent wants settings to be read and status to be written."""

    config: str
    status: str


def environment(folder: str) -> Environment:
    """What ``HandlerEnvironment.json`` in the handler's folder says. Raises OSError, Unfit."""
    path = os.path.join(folder, "HandlerEnvironment.json")
    with open(path) as file:
        try:
            known = json.load(file)[0]["handlerEnvironment"]
            return Environment(config=known["configFolder"], status=known["statusFolder"])
        except (ValueError, LookupError, TypeError) as error:
            raise Unfit("{} makes no sense: {}".format(path, error)) from error


def install(where: Environment, version: str) -> None:
    """See whether the guest can do what the extension needs; lay out the ready-made scripts. Raises Unfit."""
    _check_guest()
    # Takes a second to load on a slow machine, and the other commands do without.
    from overwinter.extension import ready_scripts

    ready_scripts.unpack(Path("ready"))
    _report(where, version, "Install", "transitioning", "Installed; not enabled yet.")


def enable(where: Environment, version: str) -> None:
    """Be ready for the sessions of backups. Raises Unfit."""
    try:
        _check_guest()
    except Unfit as error:
        _report(where, version, "Enable", "error", str(error))
        raise
    _report(where, version, "Enable", "success", "Ready to freeze and thaw.")


def disable(where: Environment, version: str) -> None:
    """Let a session that runs come to its end: it thaws and lets the applications go on."""
    _end_sessions()
    _report(where, version, "Disable", "success", "Disabled.")


def uninstall(_where: Environment, _version: str) -> None:
    """Leave nothing but the log."""
    _end_sessions()
    shutil.rmtree(paths.RUN_DIRECTORY, ignore_errors=True)
    log("uninstalled")


COMMANDS: Dict[str, Callable[[Environment, str], None]] = {
    "install": install,
    "enable": enable,
    "disable": disable,
    "update": install,
    "uninstall": uninstall,
}


def _check_guest() -> None:
    if os.geteuid() != 0:
        raise Unfit("The extension must run as root.")
    libc = ctypes.CDLL(None)
    for name in _NEEDED:
        if not hasattr(libc, name):
            raise Unfit("The C library of this guest has no {}.".format(name))
    check_in_memory(paths.RUN_DIRECTORY)


def _end_sessions() -> None:
    if not os.path.isdir(paths.RUN_DIRECTORY):
        return
    for name in os.listdir(paths.RUN_DIRECTORY):
        directory = os.path.join(paths.RUN_DIRECTORY, name)
        if os.path.isdir(directory):
            with open(os.path.join(directory, END), "w"):
                pass


def _report(where: Environment, version: str, operation: str, status: str, message: str) -> None:
    """Write the status file of the present settings, whole or not at all."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    document: List[Dict[str, Any]] = [
        {
            "version": "1.0",
            "timestampUTC": now,
            "status": {
                "name": NAME,
                "operation": operation,
                "configurationAppliedTime": now,
                "status": status,
                "code": 1 if status == "error" else 0,
                "formattedMessage": {"lang": "en-US", "message": message},
                "substatus": [
                    {
                        "name": "version",
                        "status": status,
                        "code": 0,
                        "formattedMessage": {"lang": "en-US", "message": version},
                    }
                ],
            },
        }
    ]
    os.makedirs(where.status, exist_ok=True)
    path = os.path.join(where.status, "{}.status".format(_sequence_number(where)))
    with open(path + ".new", "w") as file:
        json.dump(document, file)
    os.replace(path + ".new", path)
    log("{}: {}".format(operation, message))


def _sequence_number(where: Environment) -> int:
    """That of the settings which the agent wrote last."""
    told = os.environ.get("ConfigSequenceNumber", "")  # noqa: SIM112 (the agent spells it so)
    if told.isdigit():
        return int(told)
    stems = [name[: -len(".settings")] for name in os.listdir(where.config) if name.endswith(".settings")]
    return max([int(stem) for stem in stems if stem.isdigit()], default=0)
