"""Which scripts run before and after a snapshot: the guest's two configuration files, read with distrust.

``VMSnapshotScriptPluginConfig.json`` names the scripts; ``VMSnapshotPluginHost.conf`` may move that file and
bound the time of all tries. Both lie in ``/etc/azure``, where Azure's own extension looks for them, with its
keys, defaults, owners and modes: what is configured for one works with the other.

Python 3.6, standard library only.
"""

import configparser
import json
from enum import IntEnum
from pathlib import Path
from typing import Any, Dict, NamedTuple, Optional, Tuple

from overwinter.extension.trusted_file import NotTrusted, WrongOwner, read_trusted

DIRECTORY = "/etc/azure"
HOST_FILE = "VMSnapshotPluginHost.conf"
SCRIPT_FILE = "VMSnapshotScriptPluginConfig.json"

#: The most that scripts may take, whatever the files say; also the default of the host file.
MOST_SECONDS = 1800

#: Per try, unless configured.
DEFAULT_SECONDS = 10

#: More tries than these are a mistake.
MOST_RETRIES = 100

#: No configuration is larger.
MOST_BYTES = 64 * 1024

_HOST_SECTION = "pre_post"
_PLUGIN = "ScriptRunner"


class ScriptCode(IntEnum):
    """Numbers by which Azure's extension reports these problems (its ``ExtensionErrorCode``)."""

    PRE_FAILED = 300
    POST_FAILED = 301
    PRE_NOT_FOUND = 302
    POST_NOT_FOUND = 303
    HOST_FILE_INVALID = 304
    SCRIPT_FILE_INVALID = 305
    PRE_PERMISSION = 306
    POST_PERMISSION = 307
    PRE_TIMEOUT = 308
    POST_TIMEOUT = 309
    PRE_HOST_TIMEOUT = 310
    POST_HOST_TIMEOUT = 311
    HOST_FILE_PERMISSION = 314
    HOST_FILE_OWNER = 315
    SCRIPT_FILE_NOT_FOUND = 316
    SCRIPT_FILE_PERMISSION = 317
    SCRIPT_FILE_OWNER = 318


class ScriptProblem(Exception):
    """Scripts are not configured rightly, cannot be run, or failed.

    ``started``: whether the script ran at all, so that what it may have done must be undone.
    """

    def __init__(self, code: ScriptCode, message: str, started: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.started = started


class Script(NamedTuple):
    """A script to run: absolute path, arguments, and how often it is tried again when it fails."""

    path: Path
    arguments: Tuple[str, ...]
    retries: int


class Plan(NamedTuple):
    """What to run around a snapshot.

    ``timeout_s`` bounds one try, ``total_s`` all tries of one script together. ``continue_on_failure``: a
    backup goes on, with a lower label, when a script fails. ``freeze``: file systems are frozen as well.
    """

    name: str
    pre: Script
    post: Script
    timeout_s: int
    total_s: int
    continue_on_failure: bool
    freeze: bool


class _HostFile(NamedTuple):
    total_s: int
    script_file: Path


def read_plan(directory: str = DIRECTORY) -> Optional[Plan]:
    """The configured plan, or null when no scripts are configured.

    The scripts themselves are looked at when they are to run. Raises ScriptProblem: a file is invalid, or
    somebody else than root could have written it; then nothing of it may be obeyed.
    """
    host = _read_host_file(Path(directory) / HOST_FILE)
    usual = Path(directory) / SCRIPT_FILE
    path = host.script_file if host is not None else usual
    content = _read(path, 0o177, ScriptCode.SCRIPT_FILE_OWNER, ScriptCode.SCRIPT_FILE_PERMISSION)
    if content is None:
        if path == usual:
            return None
        raise ScriptProblem(
            ScriptCode.SCRIPT_FILE_NOT_FOUND, "{} names {}, which is missing".format(HOST_FILE, path)
        )
    total_s = host.total_s if host is not None else MOST_SECONDS
    try:
        return _plan(json.loads(_text(content)), total_s)
    except (ValueError, RecursionError) as error:
        raise ScriptProblem(ScriptCode.SCRIPT_FILE_INVALID, "{}: {}".format(path, error)) from error


def _read_host_file(path: Path) -> Optional[_HostFile]:
    content = _read(path, 0o033, ScriptCode.HOST_FILE_OWNER, ScriptCode.HOST_FILE_PERMISSION)
    if content is None:
        return None
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(_text(content))
        section = parser[_HOST_SECTION]
        if section.getint("numberOfPlugins", 1) != 1 or section.get("pluginName0", _PLUGIN) != _PLUGIN:
            raise ValueError("there is one plug-in, {}, and no other".format(_PLUGIN))
        total_s = section.getint("timeoutInSeconds", MOST_SECONDS)
        if total_s < 1:
            raise ValueError("timeoutInSeconds is at least 1")
        script_file = Path(section.get("pluginConfigPath0", str(path.with_name(SCRIPT_FILE))))
        if not script_file.is_absolute():
            raise ValueError("pluginConfigPath0 is an absolute path")
    except (configparser.Error, KeyError, ValueError) as error:
        raise ScriptProblem(ScriptCode.HOST_FILE_INVALID, "{}: {}".format(path, error)) from error
    return _HostFile(min(total_s, MOST_SECONDS), script_file)


def _read(path: Path, forbidden: int, owner: ScriptCode, permission: ScriptCode) -> Optional[bytes]:
    """What is in a configuration file, or null when there is none."""
    try:
        return read_trusted(path, forbidden, MOST_BYTES + 1).content
    except FileNotFoundError:
        return None
    except WrongOwner as error:
        raise ScriptProblem(owner, "{} {}".format(path, error)) from error
    except NotTrusted as error:
        raise ScriptProblem(permission, "{} {}".format(path, error)) from error


def _text(content: bytes) -> str:
    """Raises ValueError."""
    if len(content) > MOST_BYTES:
        raise ValueError("it is longer than {} bytes".format(MOST_BYTES))
    return content.decode("utf-8")


def _plan(document: Any, total_s: int) -> Plan:
    """Raises ValueError, which says what is wrong."""
    if not isinstance(document, dict):
        raise ValueError("the file is no JSON object")
    timeout_s = _number(document, "timeoutInSeconds", DEFAULT_SECONDS, 1, None)
    # Nothing polls here, but a file that the other extension refuses is refused here as well.
    _number(document, "ScriptsExecutionPollTimeSeconds", 1, 1, 5)
    freeze = _value(document, "fsFreezeEnabled", True, bool, "true or false")
    go_on = _value(document, "continueBackupOnFailure", True, bool, "true or false")
    return Plan(
        name=_value(document, "pluginName", _PLUGIN, str, "a text"),
        pre=_script(document, "preScript"),
        post=_script(document, "postScript"),
        timeout_s=min(timeout_s, total_s),
        total_s=total_s,
        # Without a freeze, scripts are all there is.
        continue_on_failure=go_on and freeze,
        freeze=freeze,
    )


def _script(document: Dict[str, Any], prefix: str) -> Script:
    path = Path(_value(document, prefix + "Location", "", str, "a text"))
    if not path.is_absolute():
        raise ValueError("{}Location must be an absolute path".format(prefix))
    arguments = _value(document, prefix + "Params", [], list, "a list")
    if not all(isinstance(argument, str) and "\0" not in argument for argument in arguments):
        raise ValueError("{}Params must be a list of texts".format(prefix))
    retries = _number(document, prefix + "NoOfRetries", 0, 0, MOST_RETRIES)
    return Script(path, tuple(arguments), retries)


def _number(document: Dict[str, Any], key: str, default: int, least: int, most: Optional[int]) -> int:
    number = document.get(key, default)
    if isinstance(number, bool) or not isinstance(number, int):
        raise ValueError("{} must be a whole number".format(key))
    if number < least or (most is not None and number > most):
        raise ValueError(
            "{} is at least {}".format(key, least) + (" and at most {}".format(most) if most else "")
        )
    return number


def _value(document: Dict[str, Any], key: str, default: Any, kind: type, words: str) -> Any:
    value = document.get(key, default)
    if not isinstance(value, kind):
        raise ValueError("{} must be {}".format(key, words))
    return value
