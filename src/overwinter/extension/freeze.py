"""File systems held frozen by two processes that watch each other.

The child freezes, since a freeze may hang in the kernel for as long as a disk is slow. The parent, the
keeper, decides and thaws. When either is gone the other one thaws at once, and each of them knows the hard
stop: it is set once, when the freeze begins, and nothing moves it. A freeze that was under way when the time
ran out is undone by the child the moment it returns.

Everything is opened, made and tried out before the first file system is frozen (`rehearse`): a
process that would then read a file, or write to one that is frozen, might wait for itself. The memory of both
is locked, so that no page has to be fetched.

Python 3.6, standard library only. ``ioctl`` numbers are those of ``linux/fs.h`` on x86, ARM and RISC-V.
"""

import ctypes
import errno
import fcntl
import gc
import mmap
import os
import select
import signal
import time
from contextlib import suppress
from typing import Callable, List, NamedTuple, NoReturn

FIFREEZE = 0xC0045877
FITHAW = 0xC0045878

#: Seconds after the first freeze when everything is thawed, whoever still wants it frozen.
HARD_STOP_S = 8.0

#: The child gives the keeper so long to thaw at the hard stop before it does so itself.
_GRACE_S = 0.3

#: How long the keeper waits for a child that has nothing to do any more.
_END_S = 2.0

_MCL_CURRENT_AND_FUTURE = 1 | 2

# What the shared memory says of each file system, and in its first byte of all of them.
_OPEN, _FREEZING, _FROZEN, _FAILED, _UNFREEZABLE = range(5)
_GO_ON, _ABORT = range(2)

_GO, _DONE, _QUIT = b"g", b"d", b"q"


class Thawed(NamedTuple):
    """``held``: every file system was still frozen when it was thawed, so all stood still until then."""

    held: bool
    thawed: int


def lock_memory() -> None:
    """Keep all memory of this process in RAM. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mlockall(_MCL_CURRENT_AND_FUTURE) != 0:
        number = ctypes.get_errno()
        raise OSError(number, "mlockall: " + os.strerror(number))


def take_precedence(taken: bool) -> None:
    """Run before all ordinary processes, or no longer: a busy guest must not keep a thaw waiting."""
    with suppress(OSError):  # a container may forbid it; the hard stop holds all the same
        os.setpriority(os.PRIO_PROCESS, 0, -20 if taken else 0)


def flush(descriptor: int) -> None:
    """Write out one file system, so that freezing it has little left to do. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syncfs(descriptor) != 0:
        number = ctypes.get_errno()
        raise OSError(number, "syncfs: " + os.strerror(number))


def rehearse() -> None:
    """Take every path once, on a file system that cannot be frozen. Raises OSError."""
    descriptor = os.open("/proc", os.O_RDONLY | os.O_CLOEXEC)
    stage = FrozenSet([descriptor], hard_stop_s=HARD_STOP_S)
    stage.start()
    stage.freeze(lambda: False)
    stage.thaw()
    stage._thaw_one(0)
    stage.end()
    os.close(descriptor)


def _lives(pid: int) -> bool:
    """Whether a process exists and has not ended; one that ended and was not reaped has."""
    try:
        with open("/proc/{}/stat".format(pid)) as file:
            return file.read().rpartition(")")[2].split()[0] not in ("Z", "X")
    except (OSError, IndexError):
        return False


class FrozenSet:
    """The file systems behind some descriptors, frozen in their order and thawed in the opposite one."""

    def __init__(
        self, descriptors: List[int], hard_stop_s: float, on_orphaned: Callable[[], None] = lambda: None
    ) -> None:
        """``on_orphaned`` is called in the child when the keeper is gone and everything is thawed."""
        self._descriptors = descriptors
        self._hard_stop_s = hard_stop_s
        self._on_orphaned = on_orphaned
        self._deadline = 0.0
        # The first byte is for all, then one state and one errno (two bytes) for each.
        self._shared = mmap.mmap(-1, 1 + 3 * max(1, len(descriptors)))
        self._child = 0
        self._reaped = False
        self._to_child = -1
        self._from_child = -1

    @property
    def child(self) -> int:
        """Process id of the child."""
        return self._child

    # --- what the keeper does -----------------------------------------------------------------------------

    def start(self) -> None:
        """Start the child, which waits. Raises OSError."""
        child_end, self._to_child = os.pipe()
        self._from_child, keeper_end = os.pipe()
        self._child = os.fork()
        if self._child == 0:
            status = 1
            try:
                os.close(self._to_child)
                os.close(self._from_child)
                self._work(child_end, keeper_end)
                status = 0
            finally:
                os._exit(status)
        os.close(child_end)
        os.close(keeper_end)
        lock_memory()
        take_precedence(True)
        gc.disable()

    def freeze(self, stop: Callable[[], bool]) -> bool:
        """Freeze all; true when every one that can be frozen is.

        ``stop`` is asked again and again whether to give up. After false, thaw: some may be frozen.
        """
        self._deadline = time.monotonic() + self._hard_stop_s
        if not self._tell(_GO + repr(self._deadline).encode()):
            return False
        while True:
            if select.select([self._from_child], [], [], 0.005)[0]:
                done = os.read(self._from_child, 1) == _DONE
                return done and not any(self._state(n) == _FAILED for n in self._numbers())
            if self.overdue() or stop():
                return False

    def overdue(self) -> bool:
        """Whether the hard stop has come."""
        return time.monotonic() >= self._deadline

    def alone(self) -> bool:
        """Whether the child is gone, or has thawed on its own account."""
        return bool(select.select([self._from_child], [], [], 0)[0])

    def thaw(self) -> Thawed:
        """Thaw in the opposite order; what the child is just freezing comes last, as that may take long."""
        self._shared[0] = _ABORT
        frozen = [number for number in self._numbers() if self._state(number) == _FROZEN]
        thawed = sum(self._thaw_one(number) for number in reversed(frozen))
        unsure = [number for number in self._numbers() if self._state(number) == _FREEZING]
        if unsure and os.fork() == 0:
            self._thaw_unsure(unsure)
        return Thawed(thawed == len(frozen) and not unsure, thawed)

    def _thaw_unsure(self, numbers: List[int]) -> NoReturn:
        """In a process of its own, as this may take long: thaw what the child is freezing or left frozen."""
        child = self._child
        while True:
            gone = not _lives(child)
            thawed = [number for number in numbers if self._thaw_one(number)]
            if thawed or gone:
                os._exit(0)
            time.sleep(0.01)

    def end(self) -> None:
        """Thaw what is frozen and send the child away.

        A child that hangs in the kernel is left behind: it thaws what it froze, and ends.
        """
        if self._shared[0] != _ABORT:
            self.thaw()
        take_precedence(False)
        self._tell(_QUIT)
        deadline = time.monotonic() + _END_S
        while not self._has_ended() and time.monotonic() < deadline:
            time.sleep(0.002)
        os.close(self._to_child)
        os.close(self._from_child)

    def frozen(self, number: int) -> bool:
        """Whether that file system was frozen."""
        return self._state(number) == _FROZEN

    def unfreezable(self, number: int) -> bool:
        """Whether the kernel has no way to freeze that kind of file system."""
        return self._state(number) == _UNFREEZABLE

    def failure(self, number: int) -> int:
        """The kernel's errno of a freeze that failed, or 0."""
        if self._state(number) != _FAILED:
            return 0
        at = self._at(number)
        return self._shared[at + 1] + 256 * self._shared[at + 2]

    def _tell(self, word: bytes) -> bool:
        """False when the child is gone."""
        try:
            os.write(self._to_child, word)
        except BrokenPipeError:
            return False
        return True

    def _has_ended(self) -> bool:
        if not self._reaped:
            pid, _ = os.waitpid(self._child, os.WNOHANG)
            self._reaped = pid != 0
        return self._reaped

    # --- what the child does ------------------------------------------------------------------------------

    def _work(self, orders: int, report: int) -> None:
        for ignored in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            signal.signal(ignored, signal.SIG_IGN)  # the keeper hears them too, and thaws
        lock_memory()
        take_precedence(True)
        gc.disable()
        heard = os.read(orders, 64)
        if not heard.startswith(_GO):
            take_precedence(False)
            if not heard:
                self._on_orphaned()
            return
        self._deadline = float(heard[1:])
        for number in self._numbers():
            if self._must_stop(orders):
                break
            self._freeze_one(number)
            if self._state(number) == _FAILED:
                break
        with suppress(BrokenPipeError):  # the keeper is gone; the next look will tell
            os.write(report, _DONE)
        limit = self._deadline + _GRACE_S - time.monotonic()
        readable = select.select([orders], [], [], max(0.0, limit))[0]
        word = os.read(orders, 1) if readable else b""
        if word != _QUIT:
            self._thaw_all()
        take_precedence(False)
        if readable and not word:
            self._on_orphaned()

    def _thaw_all(self) -> None:
        """Thaw everything that may be frozen, however far the freeze came."""
        self._shared[0] = _ABORT
        for number in reversed(self._numbers()):
            if self._state(number) in (_FROZEN, _FREEZING):
                self._thaw_one(number)

    def _must_stop(self, orders: int) -> bool:
        return self._shared[0] == _ABORT or self.overdue() or bool(select.select([orders], [], [], 0)[0])

    def _freeze_one(self, number: int) -> None:
        at = self._at(number)
        self._shared[at] = _FREEZING
        try:
            fcntl.ioctl(self._descriptors[number], FIFREEZE, 0)
        except OSError as error:
            code = error.errno or 0
            self._shared[at + 1], self._shared[at + 2] = code % 256, code // 256
            self._shared[at] = _UNFREEZABLE if code in (errno.EOPNOTSUPP, errno.ENOTTY) else _FAILED
            return
        self._shared[at] = _FROZEN
        if self._shared[0] == _ABORT or self.overdue():
            self._thaw_one(number)

    # --- what both do -------------------------------------------------------------------------------------

    def _thaw_one(self, number: int) -> bool:
        """False when it was not frozen any more."""
        try:
            fcntl.ioctl(self._descriptors[number], FITHAW, 0)
        except OSError:
            return False
        return True

    def _numbers(self) -> range:
        return range(len(self._descriptors))

    def _at(self, number: int) -> int:
        return 1 + 3 * number

    def _state(self, number: int) -> int:
        return self._shared[self._at(number)]
