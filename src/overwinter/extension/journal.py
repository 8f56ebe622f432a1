"""What a session tells the host, and what the host tells it: files in memory, one directory per session.

The session appends one JSON object a line to ``answers``. The host commands by making a file: ``freeze``,
``thaw`` or ``end``. A file is there or not, however often it was made and whoever was killed meanwhile, and
making one takes a single call of the guest agent.

Python 3.6, standard library only.
"""

import fcntl
import json
import os
import time
from contextlib import suppress
from typing import Any

from overwinter.extension import mounts
from overwinter.extension.errors import Unfit

ANSWERS = "answers"
FREEZE, THAW, END = "freeze", "thaw", "end"

#: A session that was asked to end gets so long before a new one gives up.
_TURN_S = 20.0

_IN_MEMORY = ("tmpfs", "ramfs", "devtmpfs")


class Journal:
    """The directory of one session; the only one whose session may freeze."""

    def __init__(self, directory: str, answers: int, lock: int) -> None:
        self.directory = directory
        self._answers = answers
        self._lock = lock

    def say(self, event: str, **facts: Any) -> None:
        """Append one line; in memory, never waits."""
        line = json.dumps(dict(facts, event=event)) + "\n"
        os.write(self._answers, line.encode("ascii"))

    def commanded(self, word: str) -> bool:
        """Whether the host has given that command."""
        return os.path.exists(self.directory + "/" + word)

    def lost(self) -> bool:
        """Whether somebody removed the directory, so that nobody can give commands."""
        return not os.path.exists(self.directory)


def open_journal(run_directory: str, session: str) -> Journal:
    """Begin a session: alone, with nothing left of earlier ones. Raises Unfit, OSError."""
    check_in_memory(run_directory)
    lock = os.open(run_directory + "/lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    _wait_for_turn(run_directory, lock)
    for name in os.listdir(run_directory):
        if name != "lock":
            remove_session(os.path.join(run_directory, name))
    directory = os.path.join(run_directory, session)
    os.mkdir(directory, 0o700)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
    return Journal(directory, os.open(os.path.join(directory, ANSWERS), flags, 0o600), lock)


def remove_session(directory: str) -> None:
    """Remove what a session left."""
    for name in os.listdir(directory):
        os.unlink(os.path.join(directory, name))
    os.rmdir(directory)


def check_in_memory(run_directory: str) -> None:
    """Make the directory of all sessions. Raises Unfit when files in it would be on a disk, OSError."""
    os.makedirs(run_directory, mode=0o700, exist_ok=True)
    os.chmod(run_directory, 0o700)
    status = os.stat(run_directory)
    device = "{}:{}".format(os.major(status.st_dev), os.minor(status.st_dev))
    kinds = {mount.type for mount in mounts.every_mount() if mount.device == device}
    if not kinds.intersection(_IN_MEMORY):
        raise Unfit("{} is not in memory: it lies on {}".format(run_directory, sorted(kinds)))


def _wait_for_turn(run_directory: str, lock: int) -> None:
    """The lock goes with the last process of a session, however it ends."""
    deadline = time.monotonic() + _TURN_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise Unfit("an earlier session does not end") from None
        for name in os.listdir(run_directory):
            _ask_to_end(os.path.join(run_directory, name))
        time.sleep(0.05)


def _ask_to_end(directory: str) -> None:
    with suppress(OSError):  # the lock itself, or a session that went just now
        os.close(os.open(os.path.join(directory, END), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
