"""One backup as the guest sees it: pre-script, freeze, (the host takes its snapshot), thaw, post-script.

    python3 extension.pyz session NAME [--hard-stop SECONDS]

What it says, in this order, each with its facts: ``started``, ``ready``, ``frozen``, ``thawed``, ``ended``;
``failed`` instead of ``ready`` or ``frozen`` when that was not reached. After ``failed`` nothing is frozen.
``ended`` comes in every case in which one of its two processes is left to say it.

Python 3.6, standard library only.
"""

import os
import select
import signal
import time
from types import FrameType
from typing import Any, Callable, Dict, List, NamedTuple, Optional

from overwinter.extension import freeze, mounts, paths
from overwinter.extension.applications import Applications
from overwinter.extension.freeze import HARD_STOP_S, FrozenSet
from overwinter.extension.journal import END, FREEZE, THAW, Journal, open_journal
from overwinter.extension.log import log
from overwinter.extension.mounts import Candidate, Reason
from overwinter.extension.settings import mounts_to_skip

#: Seconds that a session waits for the order to freeze; then it ends as if told to.
PATIENCE_S = 60.0

#: Between two looks for a command.
_TICK_S = 0.004

#: So many mounts are reported one by one; machines with more have many alike (containers).
MOST_REPORTED = 200

_MOST_CHARACTERS = 200

__all__ = ["HARD_STOP_S", "Session", "begin"]


class _Part(NamedTuple):
    """A file system and its place in the frozen set, null for one that is not to be frozen."""

    candidate: Candidate
    number: Optional[int]
    why_not: Optional[str]
    message: str = ""


def begin(session: str, identity: Dict[str, Any], hard_stop_s: float) -> None:
    """Start a session in the background, and return when it has its journal. Raises Unfit, OSError."""
    journal = open_journal(paths.RUN_DIRECTORY, session)
    if os.fork():
        return
    status = 1
    try:
        os.setsid()
        _let_go_of_terminal()
        Session(journal, hard_stop_s).run(identity)
        status = 0
    except Exception as error:  # noqa: BLE001 (nobody is left to raise it to; the host is told)
        journal.say("failed", message="{}: {}".format(type(error).__name__, error))
    finally:
        os._exit(status)


def _let_go_of_terminal() -> None:
    """The guest agent waits for the end of these streams."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    os.chdir("/")


class Session:
    """The life of one session."""

    def __init__(self, journal: Journal, hard_stop_s: float) -> None:
        self._journal = journal
        self._hard_stop_s = hard_stop_s
        self._applications = Applications()
        self._parts: List[_Part] = []
        self._signal = 0
        self._frozen_at = 0.0

    def run(self, identity: Dict[str, Any]) -> None:
        """All of it."""
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._hear)
        self._journal.say("started", pid=os.getpid(), **identity)
        try:
            if self._applications.rest(self._given_up):
                self._stand_still()
            else:
                self._journal.say("failed", message=self._applications.problem())
        finally:
            self._applications.go_on()
            self._journal.say("ended", scripts=self._applications.report())
            log("session ended, scripts: {}".format(self._applications.report()))

    def _hear(self, number: int, _frame: Optional[FrameType]) -> None:
        self._signal = number

    # --- file systems -------------------------------------------------------------------------------------

    def _stand_still(self) -> None:
        self._journal.say("resting")  # from here on only the guest's storage can take long
        descriptors = self._open_mounts() if self._applications.freeze else []
        freeze.rehearse()
        held = FrozenSet(descriptors, self._hard_stop_s, self._orphaned)
        held.start()
        try:
            self._rehearse_reports(held)
            self._journal.say("ready", pid=held.child, scripts=self._applications.report())
            if self._wait(lambda: self._journal.commanded(FREEZE), PATIENCE_S):
                self._hold(held)
        finally:
            held.end()

    def _open_mounts(self) -> List[int]:
        """Open and flush what is to be frozen, and note why other things are not."""
        found = mounts.every_mount()
        candidates = mounts.choose(found, mounts_to_skip(paths.SETTINGS_FILE), mounts.on_loop_devices(found))
        descriptors: List[int] = []
        for candidate in candidates:
            why_not, message = candidate.why_not, ""
            number = None
            if why_not is None:
                try:
                    descriptor = mounts.open_mount(candidate)
                    if descriptor is None:
                        why_not = Reason.HIDDEN
                    else:
                        number = len(descriptors)
                        descriptors.append(descriptor)
                        freeze.flush(descriptor)
                except OSError as error:
                    why_not, message = Reason.FAILED, error.strerror or ""
            self._parts.append(_Part(candidate, number, why_not, message))
        return descriptors

    def _hold(self, held: FrozenSet) -> None:
        """Freeze, wait, thaw. Only memory is touched in between."""
        journal = self._journal
        self._frozen_at = time.time()
        begun = time.monotonic()
        whole = held.freeze(lambda: bool(self._reason_to_thaw(held)))
        reason = self._reason_to_thaw(held)
        if whole:
            journal.say("frozen", at=self._frozen_at, ms=round((time.monotonic() - begun) * 1000))
            while not reason:
                select.select([], [], [], _TICK_S)
                reason = self._reason_to_thaw(held) or ("lost process" if held.alone() else "")
        thawed = held.thaw()
        facts = self._report(held)
        facts["ms"] = round((time.monotonic() - begun) * 1000)
        if whole:
            journal.say("thawed", by=reason, held=thawed.held, thawed_at=time.time(), **facts)
        else:
            journal.say("failed", **self._failure(held, reason), **facts)
        log("thawed by {} after {} ms, held: {}".format(reason, facts["ms"], thawed.held))

    def _reason_to_thaw(self, held: FrozenSet) -> str:
        """Why the file systems must not stay frozen, or empty."""
        if self._journal.commanded(THAW) or self._journal.commanded(END):
            return "command"
        if self._signal:
            return "signal"
        if held.overdue():
            return "deadline"
        return "lost directory" if self._journal.lost() else ""

    def _orphaned(self) -> None:
        """In the freezing process, when the other one was killed: everything is thawed; tell, and go on."""
        self._journal.say("thawed", by="lost process", held=False, thawed_at=time.time(), ms=0, mounts=[])
        self._applications.go_on()
        self._journal.say("ended", scripts=self._applications.report())

    def _given_up(self) -> bool:
        """Whether nobody wants this session to go on."""
        return bool(self._signal) or self._journal.commanded(END) or self._journal.lost()

    def _wait(self, condition: Callable[[], bool], limit_s: float) -> bool:
        """Wait for a condition; false when there is a reason to end before, or the time is over."""
        deadline = time.monotonic() + limit_s
        while not condition():
            if time.monotonic() > deadline or self._given_up():
                return False
            select.select([], [], [], _TICK_S)
        return True

    # --- reports ------------------------------------------------------------------------------------------

    def _rehearse_reports(self, held: FrozenSet) -> None:
        """Whatever these need is in memory afterwards."""
        self._reason_to_thaw(held)
        held.alone()
        self._failure(held, "")
        self._journal.say("rehearsed", **self._report(held))

    def _report(self, held: FrozenSet) -> Dict[str, Any]:
        shown = [self._shown(held, part) for part in self._parts[:MOST_REPORTED]]
        return {"frozen_at": self._frozen_at, "mounts": shown, "more": len(self._parts) - len(shown)}

    def _shown(self, held: FrozenSet, part: _Part) -> Dict[str, Any]:
        first = part.candidate.first
        why_not, message = part.why_not, part.message
        if part.number is not None and why_not is None:
            if held.unfreezable(part.number):
                why_not = Reason.UNFREEZABLE
            elif not held.frozen(part.number):
                why_not, message = Reason.FAILED, _words(held.failure(part.number))
        return {
            "point": (first.root + first.point)[:_MOST_CHARACTERS],
            "source": first.source[:_MOST_CHARACTERS],
            "type": first.type[:_MOST_CHARACTERS],
            "why_not": why_not,
            "message": message,
        }

    def _failure(self, held: FrozenSet, reason: str) -> Dict[str, Any]:
        for part in self._parts:
            failed = held.failure(part.number) if part.number is not None else 0
            if failed:
                message = "{} could not be frozen: {}".format(part.candidate.first.point, _words(failed))
                return {"message": message, "errno": failed}
        return {"message": "freezing was given up: {}".format(reason or "lost process")}


def _words(number: int) -> str:
    """What the kernel's error means; empty for 0."""
    return os.strerror(number) if number else ""
