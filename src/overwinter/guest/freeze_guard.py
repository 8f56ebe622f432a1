"""The side of the guard process that the freezing process holds: start it, release it, or die and be
covered.
"""

import select
import subprocess
import sys
import threading
import time
from types import TracebackType
from typing import Self
from uuid import UUID

from overwinter.guest.guard import DONE, FIRED, READY
from overwinter.model.errors import FreezeFailed

HARD_STOP_S = 8.0

#: A Python process that opens a connection: a quarter of a second on an idle machine.
START_LIMIT_S = 30.0

_END_LIMIT_S = 5.0


class FreezeGuard:
    """A running guard. As a context manager it is set off when the block ends without `release`."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self._released = False

    @classmethod
    def start(cls, uri: str, vm_uuid: UUID, hard_stop_s: float = HARD_STOP_S) -> Self:
        """Start the guard and return when it is ready; the hard stop counts from then.

        Give the freeze call a time limit well below the hard stop: libvirt lets nobody thaw while it waits
        for the agent's answer to the freeze.

        Raises FreezeFailed when the guard does not come up; do not freeze then.
        """
        process = subprocess.Popen(
            [sys.executable, "-m", "overwinter.guest.guard", str(vm_uuid), uri, str(hard_stop_s)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        guard = cls(process)
        if guard._read_line(START_LIMIT_S) != READY:
            process.kill()
            process.communicate()
            raise FreezeFailed(
                "the process that guards a frozen guest did not start; the guest was not frozen"
            )
        return guard

    def release(self) -> bool:
        """Call after the guest has confirmed its thaw. True when the guard had nothing to do.

        False means that the guard thawed the guest, perhaps before the snapshot, or was killed: what was
        captured cannot be called consistent.
        """
        self._released = True
        try:
            said, _ = self._process.communicate(DONE, timeout=_END_LIMIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
            return False
        return self._process.returncode == 0 and FIRED.encode() not in said

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._released:
            return
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        # It thaws by itself and ends some seconds later; nobody waits for that, but it must be reaped.
        threading.Thread(target=self._process.wait, name="freeze-guard", daemon=True).start()

    def _read_line(self, limit: float) -> str:
        stream = self._process.stdout
        assert stream is not None
        deadline = time.monotonic() + limit
        heard = b""
        while b"\n" not in heard:
            readable, _, _ = select.select([stream], [], [], max(0.0, deadline - time.monotonic()))
            piece = stream.read1(64) if readable else b""  # type: ignore[attr-defined]
            if not piece:
                return ""
            heard += piece
        return heard.decode().split("\n", 1)[0]
