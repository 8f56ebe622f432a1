"""Runs the scripts that bring applications to rest before a snapshot and let them go on after it.

Order of a backup: ``run_pre``, freeze, snapshot, thaw, ``run_post``. Both scripts are examined before the
first of them runs: an application that is stopped must have somebody to start it again.

Python 3.6, standard library only.
"""

import os
import select
import signal
import stat
import subprocess
import time
from typing import IO, Callable, List, NamedTuple, Optional

from overwinter.extension.script_config import (
    Plan,
    Script,
    ScriptCode,
    ScriptProblem,
    read_plan,
)
from overwinter.extension.trusted_file import NotTrusted, read_trusted

__all__ = ["Plan", "ScriptCode", "ScriptProblem", "read_plan", "run_post", "run_pre"]

#: Takes one line for the extension's log.
Log = Callable[[str], None]

#: Asked again and again while a script runs: whether nobody wants its result any more.
Stop = Callable[[], bool]

#: What a script that must end has, after SIGTERM, to undo what it did; then all its processes are killed.
TERM_SECONDS = 2.0

#: Of what a script prints, the end is kept.
OUTPUT_BYTES = 4096

_POLL_SECONDS = 0.02

_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
}


class _Role(NamedTuple):
    """The codes of one of the two scripts."""

    word: str
    failed: ScriptCode
    not_found: ScriptCode
    permission: ScriptCode
    timeout: ScriptCode
    total_timeout: ScriptCode


_PRE = _Role(
    "pre-script",
    ScriptCode.PRE_FAILED,
    ScriptCode.PRE_NOT_FOUND,
    ScriptCode.PRE_PERMISSION,
    ScriptCode.PRE_TIMEOUT,
    ScriptCode.PRE_HOST_TIMEOUT,
)
_POST = _Role(
    "post-script",
    ScriptCode.POST_FAILED,
    ScriptCode.POST_NOT_FOUND,
    ScriptCode.POST_PERMISSION,
    ScriptCode.POST_TIMEOUT,
    ScriptCode.POST_HOST_TIMEOUT,
)


def run_pre(plan: Plan, log: Log, stop: Stop) -> None:
    """Run the pre-script until it succeeds once, or until ``stop``: then it is cut short, and has failed.

    Raises ScriptProblem. If that says ``started``, the post-script has something to undo.
    """
    _examine(plan.post, _POST)
    _run(plan.pre, _PRE, plan, log, stop)


def run_post(plan: Plan, log: Log) -> None:
    """Run the post-script until it succeeds once: nobody can cut it short. Raises ScriptProblem."""
    _run(plan.post, _POST, plan, log, lambda: False)


def _run(script: Script, role: _Role, plan: Plan, log: Log, stop: Stop) -> None:
    """Try, and try again after an error. A script that was too slow once is not tried again."""
    command = [*_examine(script, role), *script.arguments]
    deadline = time.monotonic() + plan.total_s
    for number in range(1, script.retries + 2):
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            raise _too_slow(script, role.total_timeout, role, plan.total_s)
        outcome = _try(command, min(float(plan.timeout_s), left_s), stop)
        log("{}: {} {}, try {}: {}".format(plan.name, role.word, script.path, number, outcome.words))
        if outcome.status == 0:
            return
        if stop():
            message = "the {} {} was cut short: the backup is given up".format(role.word, script.path)
            raise ScriptProblem(role.failed, message, started=True)
        if outcome.status is None:
            if number > 1 and left_s < plan.timeout_s:
                raise _too_slow(script, role.total_timeout, role, plan.total_s)
            raise _too_slow(script, role.timeout, role, plan.timeout_s)
    message = "the {} {} failed: {}".format(role.word, script.path, outcome.words)
    raise ScriptProblem(role.failed, message, started=True)


def _too_slow(script: Script, code: ScriptCode, role: _Role, limit_s: int) -> ScriptProblem:
    message = "the {} {} did not end within {} s".format(role.word, script.path, limit_s)
    return ScriptProblem(code, message, started=True)


def _examine(script: Script, role: _Role) -> List[str]:
    """How to start a script, once it is certain that only root can have written it.

    A script that names its interpreter is run by that, any other by the shell.
    """
    try:
        file = read_trusted(script.path, 0o077, 2)
    except FileNotFoundError:
        message = "the {} {} is missing".format(role.word, script.path)
        raise ScriptProblem(role.not_found, message) from None
    except NotTrusted as error:
        message = "the {} {} {}".format(role.word, script.path, error)
        raise ScriptProblem(role.permission, message) from error
    if file.content == b"#!" and file.mode & stat.S_IXUSR:
        return [str(file.path)]
    return ["/bin/sh", str(file.path)]


class _Outcome(NamedTuple):
    """``status`` is null when it was killed here, negative when somebody else's signal ended the script."""

    status: Optional[int]
    words: str


def _try(command: List[str], limit_s: float, stop: Stop) -> _Outcome:
    """Run a command in a process group of its own, which outlives neither the time limit nor ``stop``.

    When it ends by itself, processes that it left in the background go on: one may hold a lock until the
    post-script.
    """
    try:
        process = subprocess.Popen(
            command,
            cwd="/",
            env=_ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:  # the interpreter it names is missing, or no memory is left
        return _Outcome(127, "cannot be started: {}".format(error.strerror))
    begun = time.monotonic()
    with process:
        assert process.stdout is not None
        output = _Output(process.stdout)
        output.read_until(lambda: _has_ended(process.pid) or stop(), limit_s)
        ended = _has_ended(process.pid)
        if not ended:
            os.killpg(process.pid, signal.SIGTERM)
            output.read_until(lambda: _has_ended(process.pid), TERM_SECONDS)
            # Not reaped yet, so its number is still its own and nobody else's group is hit.
            os.killpg(process.pid, signal.SIGKILL)
        status = process.wait()
        output.read_rest()
    text = output.tail()
    if not ended:
        return _Outcome(None, "told to end after {:.0f} s; {}".format(time.monotonic() - begun, text))
    return _Outcome(status, "exit code {}; {}".format(status, text) if status else "succeeded; " + text)


def _has_ended(pid: int) -> bool:
    """Whether a child has ended; it is left to be reaped."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


class _Output:
    """The end of what a script prints.

    Read while it runs, so that it never waits for a reader, and never waited for: what it leaves in the
    background may keep the pipe open for ever.
    """

    def __init__(self, pipe: IO[bytes]) -> None:
        self._descriptor = pipe.fileno()
        self._kept = b""
        self._open = True
        os.set_blocking(self._descriptor, False)

    def read_until(self, condition: Callable[[], bool], limit_s: float) -> None:
        """Read until a condition holds, or the time is over."""
        deadline = time.monotonic() + limit_s
        while not condition() and time.monotonic() <= deadline:
            if self._open and select.select([self._descriptor], [], [], _POLL_SECONDS)[0]:
                self._read()
            elif not self._open:
                time.sleep(_POLL_SECONDS)

    def read_rest(self) -> None:
        """Read what is there now, but not for ever: something in the background may print on."""
        for _ in range(OUTPUT_BYTES):
            if not self._open or not select.select([self._descriptor], [], [], 0)[0]:
                return
            self._read()

    def _read(self) -> None:
        piece = os.read(self._descriptor, OUTPUT_BYTES)
        self._open = bool(piece)
        self._kept = (self._kept + piece)[-OUTPUT_BYTES:]

    def tail(self) -> str:
        """For a log line."""
        text = " | ".join(self._kept.decode("utf-8", errors="replace").split("\n")).strip(" |")
        printable = "".join(c if c.isprintable() else "?" for c in text)
        return "it printed: {}".format(printable) if printable else "it printed nothing"
