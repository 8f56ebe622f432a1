"""One session of the extension, seen from the host: begun, told to freeze, told to thaw, listened to.

The session's directory lies in the guest's memory (see ``extension/journal.py``), so the guest agent can read
and write in it while everything else is frozen. The file of answers is opened before that; a command is the
opening of a file. An agent that was restarted meanwhile has forgotten open files: they are opened anew.
"""

import errno
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar
from uuid import uuid4

from overwinter.guest.agent import FILE_PIECE, GuestAgent
from overwinter.guest.extension import GuestExtension, complaint
from overwinter.guest.extension_package import extension_package
from overwinter.guest.freeze_answers import MOST_BYTES, Answer, Event, answers
from overwinter.model.errors import (
    ExtensionFailed,
    FreezeFailed,
    GuestAgentUnavailable,
    GuestCommandFailed,
    HypervisorUnavailable,
    NotFound,
    PostScriptFailed,
    PostScriptNotFound,
    PostScriptPermission,
    PostScriptTimeout,
    PreScriptNotFound,
    PreScriptPermission,
    PreScriptTimeout,
    ScriptConfigInvalid,
    ScriptFailed,
    ScriptHostFileInvalid,
)
from overwinter.model.freeze import ScriptsRecord

RUN_DIRECTORY = "/run/overwinter"

#: The longest that scripts may take, all tries together (1800 s), with time to kill and to tell.
SCRIPTS_LIMIT_S = 1860.0

#: The longest that file systems may take to write out what they hold in memory. It grows with the guest's
#: memory (some gigabytes on slow storage); a disk that hangs is not waited for, as nobody knows until when.
WRITE_OUT_LIMIT_S = 90.0

_POLL_SECONDS = 0.01
_IDLE_POLL_SECONDS = 0.1

#: The end of a session without scripts comes at once.
_END_LIMIT_S = 20.0

#: A guest that lets nobody read for so long is off, or its agent is gone: nobody waits for what it would say.
SILENCE_LIMIT_S = 120.0

#: Between two looks whether the session still lives.
_LOOK_SECONDS = 1.0

#: What is behind a file system that the kernel does not freeze. EBUSY: it is frozen already (``freeze_super``
#: of Linux); the others come from the file system or its disk.
_KERNEL_CAUSES = {
    errno.EBUSY: "C-FS-FROZEN",
    errno.EIO: "C-FS-DIRTY",
    errno.EROFS: "C-FS-DIRTY",
    errno.EUCLEAN: "C-FS-DIRTY",
}

#: No answer, for whatever reason: the next try may have one.
_SILENT = (GuestAgentUnavailable, GuestCommandFailed, HypervisorUnavailable, NotFound)

T = TypeVar("T")

#: Codes of the extension for scripts; every other one is a pre-script that failed.
_SCRIPT_ERRORS: dict[int, type[ScriptFailed]] = {
    301: PostScriptFailed,
    302: PreScriptNotFound,
    303: PostScriptNotFound,
    304: ScriptHostFileInvalid,
    305: ScriptConfigInvalid,
    306: PreScriptPermission,
    307: PostScriptPermission,
    308: PreScriptTimeout,
    309: PostScriptTimeout,
    310: PreScriptTimeout,
    311: PostScriptTimeout,
    313: ScriptHostFileInvalid,
    314: ScriptHostFileInvalid,
    315: ScriptHostFileInvalid,
    316: ScriptConfigInvalid,
    317: ScriptConfigInvalid,
    318: ScriptConfigInvalid,
}


def script_error(scripts: ScriptsRecord) -> ScriptFailed:
    """The error of the tree for what went wrong with scripts."""
    return _SCRIPT_ERRORS.get(scripts.code, ScriptFailed)(f"In the guest: {scripts.message}")


def begin_session(agent: GuestAgent) -> "FreezeSession":
    """Begin a session; the extension is installed, or renewed, when it is not there as it should be.

    Raises ExtensionUnavailable when this guest cannot have it, ExtensionFailed, GuestAgentUnavailable.
    """
    extension = GuestExtension(agent)
    extension.python()
    try:
        return _begun(agent, extension)
    except ExtensionFailed:
        extension.install()
        return _begun(agent, extension)


def _begun(agent: GuestAgent, extension: GuestExtension) -> "FreezeSession":
    if not extension.is_there:
        raise ExtensionFailed("The extension is not installed.")
    name = str(uuid4())
    done = extension.run("session", name)
    if done.exit_code != 0:
        message = f"The extension does not start in the guest: {complaint(done)}"
        raise ExtensionFailed(message, cause="C-EXT-LOAD")
    session = FreezeSession(agent, name)
    started = session.wait_for(Event.STARTED, Event.FAILED, limit_s=10.0)
    package = extension_package()
    ours = (package.version, len(package.content), package.crc)
    if started is None or (started.version, started.size, started.crc) != ours:
        session.give_up()
        raise ExtensionFailed("The extension in the guest is another one than this host's.")
    return session


class FreezeSession:
    """A session that was begun. Its calls do not raise for a silent agent: they go on until their limit."""

    def __init__(self, agent: GuestAgent, name: str) -> None:
        self._agent = agent
        self._directory = f"{RUN_DIRECTORY}/{name}"
        self._handle: int | None = None
        self._heard = b""
        self._commands: list[int] = []
        self._has_scripts = True

    def wait_ready(self, check: Callable[[], None] = lambda: None) -> Answer:
        """Wait until scripts have run and everything is prepared to be frozen; ``check`` may raise meanwhile.

        Raises ScriptFailed when the guest wants no backup after a script that failed; FreezeFailed when a
        file system does not write out what it holds, so that nobody can freeze it; ExtensionFailed.
        """
        said = self.wait_for(
            Event.RESTING, Event.FAILED, limit_s=SCRIPTS_LIMIT_S, poll_s=_IDLE_POLL_SECONDS, check=check
        )
        if said is not None and said.event is Event.RESTING:
            said = self.wait_for(
                Event.READY, Event.FAILED, limit_s=WRITE_OUT_LIMIT_S, poll_s=_IDLE_POLL_SECONDS, check=check
            )
            if said is None and not self._is_over():
                raise FreezeFailed(
                    f"a file system in the guest did not write out what it holds within "
                    f"{WRITE_OUT_LIMIT_S:.0f} s: its storage hangs, or is very slow",
                    cause="C-FS-DIRTY",
                )
        if said is None:
            raise ExtensionFailed("The extension in the guest did not get ready for the snapshot.")
        if said.event is Event.READY:
            self._has_scripts = said.scripts.configured
            return said
        ended = self.wait_ended(check)
        if ended is not None and ended.scripts.code:
            raise script_error(ended.scripts)
        raise ExtensionFailed(f"The extension in the guest did not get ready: {said.message}")

    def freeze(self, limit_s: float) -> None:
        """Freeze. After any error the guest may still be frozen. Raises FreezeFailed."""
        if not self._command("freeze"):
            raise FreezeFailed("the guest agent did not pass on the order to freeze")
        said = self.wait_for(Event.FROZEN, Event.FAILED, Event.THAWED, limit_s=limit_s)
        if said is None:
            raise FreezeFailed(f"the guest did not say within {limit_s:.0f} s that it is frozen")
        if said.event is not Event.FROZEN:
            cause = _KERNEL_CAUSES.get(said.errno)
            raise FreezeFailed(said.message or "the guest gave up freezing", cause=cause)

    def thaw(self, limit_s: float) -> Answer | None:
        """Thaw; null when the guest did not confirm it in time."""
        deadline = time.monotonic() + limit_s
        while not self._command("thaw"):
            if time.monotonic() > deadline:
                return None
        left_s = max(0.0, deadline - time.monotonic())
        return self.wait_for(Event.THAWED, Event.FAILED, limit_s=left_s)

    def give_up(self) -> None:
        """Tell the session to thaw and end; nothing is raised when it cannot be told: it ends by itself."""
        self._command("end")

    def wait_ended(self, check: Callable[[], None] = lambda: None) -> Answer | None:
        """Wait until the scripts after the snapshot have run; null when the session does not say so.

        ``check`` may raise meanwhile.
        """
        limit_s = SCRIPTS_LIMIT_S if self._has_scripts else _END_LIMIT_S
        return self.wait_for(Event.ENDED, limit_s=limit_s, poll_s=_IDLE_POLL_SECONDS, check=check)

    def close(self) -> None:
        """Close what is open in the agent, if it still knows it."""
        for handle in (*self._commands, self._handle):
            if handle is not None:
                _try(partial(self._agent.close_file, handle))

    def wait_for(
        self,
        *events: Event,
        limit_s: float,
        poll_s: float = _POLL_SECONDS,
        check: Callable[[], None] = lambda: None,
    ) -> Answer | None:
        """The first answer of these kinds; null when none comes in time, or none will: the session died, or
        the guest is silent.
        """
        now = time.monotonic()
        deadline, look, silence = now + limit_s, now + _LOOK_SECONDS, now + SILENCE_LIMIT_S
        over = False
        while True:
            if self._listen():
                silence = time.monotonic() + SILENCE_LIMIT_S
            for answer in answers(self._heard):
                if answer.event in events:
                    return answer
            now = time.monotonic()
            if over or now > min(deadline, silence):
                return None
            check()
            if now > look:
                over = self._is_over()  # and once more: it may have spoken before it ended
                look = now + _LOOK_SECONDS
            time.sleep(poll_s)

    def _listen(self) -> bool:
        """Read on; false when that does not work now."""
        if self._handle is None:
            self._handle = _try(lambda: self._agent.open_file(f"{self._directory}/answers", "r"))
            self._heard = b""
        handle = self._handle
        if handle is None:
            return False
        piece = _try(lambda: self._agent.read_open(handle))
        if piece is None:
            self._handle = None
            return False
        self._heard = (self._heard + piece)[:MOST_BYTES]
        return True

    def _is_over(self) -> bool:
        """Whether none of the session's processes lives any more, as far as the guest tells."""
        pids = {answer.pid for answer in answers(self._heard) if answer.pid}
        return bool(pids) and not any(self._lives(pid) for pid in pids)

    def _lives(self, pid: int) -> bool:
        """Whether it does; a guest that cannot be asked is given the benefit of the doubt."""
        try:
            status = self._agent.read_file(f"/proc/{pid}/stat", FILE_PIECE)
        except GuestCommandFailed:
            return False
        except _SILENT:
            return True
        return status.rpartition(b")")[2].split()[:1] not in ([b"Z"], [b"X"])

    def _command(self, word: str) -> bool:
        """Give a command; false when the agent did not take it."""
        handle = _try(lambda: self._agent.open_file(f"{self._directory}/{word}", "w"))
        if handle is None:
            return False
        self._commands.append(handle)
        return True


def _try(call: Callable[[], T]) -> T | None:
    """What the agent answers, or null."""
    try:
        return call()
    except _SILENT:
        return None
