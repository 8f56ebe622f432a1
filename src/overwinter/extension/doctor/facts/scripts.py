"""The scripts that a backup runs before and after its snapshot: are they configured so that they will be run?

Looked at with the eyes of the extension itself, and never run here. Python 3.6, standard library only.
"""

import stat
from pathlib import Path
from typing import NamedTuple, Optional, Tuple

from overwinter.extension.doctor.machine import Machine
from overwinter.extension.script_config import (
    DIRECTORY,
    HOST_FILE,
    Script,
    ScriptCode,
    ScriptProblem,
    read_plan,
)
from overwinter.extension.trusted_file import NotTrusted, read_trusted

_NOT_FOUND = (ScriptCode.PRE_NOT_FOUND, ScriptCode.POST_NOT_FOUND)
_PERMISSION = (ScriptCode.PRE_PERMISSION, ScriptCode.POST_PERMISSION)

#: Permission bits that a script must not have.
_OTHERS = 0o077


class Scripts(NamedTuple):
    """``paths`` of both scripts; none when none are configured. ``problem``: why they will not be run."""

    paths: Tuple[str, ...]
    problem: Optional[ScriptProblem]


def read(machine: Machine) -> Scripts:
    """Raises OSError, ValueError."""
    if machine.foreign and not _is_safe(machine.root):
        raise ValueError(
            "the copy lies where others than root can write, so its owners and modes mean nothing"
        )
    if machine.foreign and machine.exists(DIRECTORY + "/" + HOST_FILE):
        raise ValueError("{} names paths that cannot be followed from outside".format(HOST_FILE))
    try:
        plan = read_plan(machine.path(DIRECTORY))
    except ScriptProblem as problem:
        return Scripts((), problem)
    if plan is None:
        return Scripts((), None)
    problems = (_problem(machine, script, order) for order, script in enumerate((plan.pre, plan.post)))
    paths = (str(plan.pre.path), str(plan.post.path))
    return Scripts(paths, next((problem for problem in problems if problem is not None), None))


def _is_safe(root: str) -> bool:
    """Whether nobody but root could change what is at this place, or above it."""
    for directory in [Path(root), *list(Path(root).parents)]:
        status = directory.stat()
        if status.st_uid != 0 or (status.st_mode & 0o022 and not status.st_mode & stat.S_ISVTX):
            return False
    return True


def _problem(machine: Machine, script: Script, order: int) -> Optional[ScriptProblem]:
    try:
        read_trusted(Path(machine.path(str(script.path))), _OTHERS, 0)
    except FileNotFoundError:
        return ScriptProblem(_NOT_FOUND[order], "{} is missing".format(script.path))
    except NotTrusted as error:
        return ScriptProblem(_PERMISSION[order], "{} {}".format(script.path, error))
    return None
